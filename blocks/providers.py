"""Which blocks hold the providers of secrets: those of the settings, under names of their own, and those that a user made.

Flows are told them as `type/name`. Each class is imported when a block of it is used: some bring a cloud's collection along.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from prefect.blocks.core import Block

from blocks.names import own_name
from blocks.server import asked
from holdfast.errors import NotFoundError, SettingsError
from holdfast.sources.secrets.configured import ENV_FILE, is_reference, names_of

if TYPE_CHECKING:
    from holdfast.settings import Settings
    from holdfast.sources.secrets.contract import SecretProvider

_PREFIX = "holdfast-secrets-"
_CLASSES = {
    "holdfast-env-file-secrets": ("blocks.secret_providers", "EnvFileSecrets"),
    "holdfast-postgres-role-secrets": ("blocks.secret_providers", "PostgresRoleSecrets"),
    "holdfast-supabase-vault-secrets": ("blocks.secret_providers", "SupabaseVaultSecrets"),
    "holdfast-prefect-secret-blocks": ("blocks.secret_providers", "PrefectSecretBlocks"),
    "holdfast-aws-secrets-manager": ("blocks.aws_secrets", "AwsSecretsManager"),
    "holdfast-supabase-project": ("blocks.supabase_project", "SupabaseProject"),
}
_SLUGS = {  # of each name that the engine knows
    ENV_FILE: "holdfast-env-file-secrets",
    "postgres-roles": "holdfast-postgres-role-secrets",
    "supabase-vault": "holdfast-supabase-vault-secrets",
    "prefect": "holdfast-prefect-secret-blocks",
    "aws": "holdfast-aws-secrets-manager",
    "supabase": "holdfast-supabase-project",
}


def provider_blocks(settings: Settings) -> dict[str, Block]:
    """Make the blocks of the providers that the settings name, by the names that they have where there are no targets.

    Raises SettingsError.
    """
    return {_PREFIX + name: _block(name, settings) for name in names_of(settings) if not is_reference(name)}


def provider_references(settings: Settings) -> list[str]:
    """Name the providers of the settings as flows are told them. Raises SettingsError."""
    own = {name: own_name(_PREFIX + name, settings.target) for name in names_of(settings)}
    return [name if is_reference(name) else f"{_SLUGS[name]}/{block}" for name, block in own.items()]


def load_provider(reference: str) -> Any:
    """Load the block of a provider: a Block with a method `provider`. Raises NotFoundError, SettingsError."""
    slug, _, name = reference.partition("/")
    kind = _class_of(slug)
    with asked(f"the block {reference} is there"):
        try:
            return kind.load(name)
        except ValueError:
            raise NotFoundError(f"there is no block {reference}", next_step="Blocks are listed by 'prefect block ls'") from None


def open_provider(name: str) -> SecretProvider:
    """Open a provider that the engine can't: Prefect's own, or one in a block. Raises NotFoundError, SettingsError."""
    block: Any = load_provider(name) if is_reference(name) else _class_of(_SLUGS[name])()
    return cast("SecretProvider", block.provider())


def _block(name: str, settings: Settings) -> Block:
    """Make the block of a provider of which `names_of` has seen that it has what it needs."""
    folders = [settings.functions_path] if settings.functions_path is not None else []
    values: dict[str, dict[str, Any]] = {
        ENV_FILE: {"path": settings.secrets_env_file, "used_in": folders},
        "postgres-roles": {"url": settings.database_url},
        "supabase": {
            "project": settings.supabase_project,
            "access_token": settings.supabase_access_token,
            "api_address": settings.supabase_api_url,
            "used_in": folders,
        },
        "supabase-vault": {"url": settings.database_url},
    }
    return _class_of(_SLUGS[name])(**values.get(name, {}))


def _class_of(slug: str) -> type[Block]:
    if slug not in _CLASSES:
        raise SettingsError(f"a block of type {slug} is no provider of secrets", reason=f"those that are: {', '.join(_CLASSES)}")
    module, name = _CLASSES[slug]
    return cast("type[Block]", getattr(import_module(module), name))
