"""Which blocks hold the providers of secrets: those of the settings, under names of their own, and those that a user made.

Flows are told them as `type/name`. Each class is imported when a block of it is used: some bring a cloud's collection along.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from prefect.blocks.core import Block

from blocks.server import asked
from holdfast.errors import NotFoundError, SettingsError

if TYPE_CHECKING:
    from holdfast.settings import Settings
    from holdfast.sources.secrets.contract import SecretProvider

_PREFIX = "holdfast-secrets-"
_ENV_FILE = "env-file"
_CLASSES = {
    "holdfast-env-file-secrets": ("blocks.secret_providers", "EnvFileSecrets"),
    "holdfast-postgres-role-secrets": ("blocks.secret_providers", "PostgresRoleSecrets"),
    "holdfast-supabase-vault-secrets": ("blocks.secret_providers", "SupabaseVaultSecrets"),
    "holdfast-prefect-secret-blocks": ("blocks.secret_providers", "PrefectSecretBlocks"),
    "holdfast-aws-secrets-manager": ("blocks.aws_secrets", "AwsSecretsManager"),
    "holdfast-supabase-project": ("blocks.supabase_project", "SupabaseProject"),
}
_SLUGS = {
    _ENV_FILE: "holdfast-env-file-secrets",
    "postgres-roles": "holdfast-postgres-role-secrets",
    "supabase-vault": "holdfast-supabase-vault-secrets",
    "prefect": "holdfast-prefect-secret-blocks",
    "aws": "holdfast-aws-secrets-manager",
    "supabase": "holdfast-supabase-project",
}


def provider_blocks(settings: Settings) -> dict[str, Block]:
    """Make the blocks of the providers that the settings name, by the names they are saved under. Raises SettingsError."""
    return {_PREFIX + name: _block(name, settings) for name in _of_settings(settings)}


def provider_references(settings: Settings) -> list[str]:
    """Name the providers of the settings as flows are told them."""
    ours = [f"{_SLUGS[name]}/{_PREFIX}{name}" for name in _of_settings(settings)]
    return ours + [name for name in settings.secrets_providers if "/" in name]


def load_provider(reference: str) -> Any:
    """Load the block of a provider: a Block with a method `provider`. Raises NotFoundError, SettingsError."""
    slug, _, name = reference.partition("/")
    kind = _class_of(slug)
    with asked(f"the block {reference} is there"):
        try:
            return kind.load(name)
        except ValueError:
            raise NotFoundError(f"there is no block {reference}", next_step="Blocks are listed by 'prefect block ls'") from None


def open_provider(name: str) -> SecretProvider | None:
    """Open a provider that the engine does not know by its name in the settings: Prefect's own, or one in a block."""
    if name == "prefect":
        return cast("SecretProvider", _class_of(_SLUGS[name])().provider())  # type: ignore[attr-defined]
    return cast("SecretProvider", load_provider(name).provider()) if "/" in name else None


def _of_settings(settings: Settings) -> Sequence[str]:
    named = [name for name in settings.secrets_providers if "/" not in name]
    if unknown := [name for name in named if name not in _SLUGS or name == _ENV_FILE]:
        raise SettingsError(
            f"BACKUP_SECRETS_PROVIDERS names {unknown[0]!r}, which is no provider of secrets",
            reason=f"known are {', '.join(sorted(set(_SLUGS) - {_ENV_FILE}))}, and blocks as type/name",
        )
    return [*([_ENV_FILE] if settings.secrets_env_file is not None else []), *named]


def _block(name: str, settings: Settings) -> Block:
    kind = _class_of(_SLUGS[name])
    folders = [settings.functions_path] if settings.functions_path is not None else []
    if name == _ENV_FILE:
        return kind(path=settings.secrets_env_file, used_in=folders)
    if name == "supabase":
        return _project(settings)
    if name in ("postgres-roles", "supabase-vault"):
        if settings.database_url is None:
            raise SettingsError(f"the provider {name} of BACKUP_SECRETS_PROVIDERS needs BACKUP_DATABASE_URL")
        return kind(url=settings.database_url)
    return kind()


def _project(settings: Settings) -> Block:
    from blocks.supabase_project import SupabaseProject

    project = SupabaseProject.of(settings)
    if project is None:
        raise SettingsError(
            "the provider supabase of BACKUP_SECRETS_PROVIDERS needs BACKUP_SUPABASE_PROJECT and BACKUP_SUPABASE_ACCESS_TOKEN"
        )
    return project


def _class_of(slug: str) -> type[Block]:
    if slug not in _CLASSES:
        raise SettingsError(f"a block of type {slug} is no provider of secrets", reason=f"those that are: {', '.join(_CLASSES)}")
    module, name = _CLASSES[slug]
    kind: type[Block] = getattr(import_module(module), name)
    return kind
