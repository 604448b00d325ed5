"""The providers that the settings name: which there are, what each needs, and how the engine opens them.

What is not the engine's own, such as Prefect's blocks, is opened by whoever asks.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeVar

from holdfast.errors import SettingsError
from holdfast.sources.secrets.source import by_name

if TYPE_CHECKING:
    from holdfast.settings import Settings
    from holdfast.sources.secrets.contract import SecretProvider

ENV_FILE = "env-file"
"""What the provider of BACKUP_SECRETS_ENV_FILE is called; BACKUP_SECRETS_PROVIDERS does not take it."""

_NEEDS: dict[str, tuple[str, ...]] = {
    "aws": (),
    "postgres-roles": ("BACKUP_DATABASE_URL",),
    "prefect": (),
    "supabase": ("BACKUP_SUPABASE_PROJECT", "BACKUP_SUPABASE_ACCESS_TOKEN"),
    "supabase-vault": ("BACKUP_DATABASE_URL",),
}

_Setting = TypeVar("_Setting")
Open = Callable[[str], "SecretProvider"]
"""Opens a provider that the engine can't: `prefect`, or a block as type/name."""


def names_of(settings: Settings) -> list[str]:
    """Return the names of the providers that the settings name, blocks as type/name.

    Raises SettingsError for a name that nobody knows, and for a provider whose own settings are missing.
    """
    for name in settings.secrets_providers:
        if not is_reference(name) and name not in _NEEDS:
            raise SettingsError(
                f"BACKUP_SECRETS_PROVIDERS names {name!r}, which is no provider of secrets",
                reason=f"known are {', '.join(_NEEDS)}, and blocks as type/name",
            )
        needs = _NEEDS.get(name, ())
        if any(getattr(settings, variable.removeprefix("BACKUP_").lower()) is None for variable in needs):
            raise SettingsError(f"the provider {name} of BACKUP_SECRETS_PROVIDERS needs {' and '.join(needs)}")
    return [*([ENV_FILE] if settings.secrets_env_file is not None else []), *settings.secrets_providers]


def is_reference(name: str) -> bool:
    """Tell whether this names a block of the user's own, as type/name."""
    return "/" in name


def providers_of(settings: Settings, further: Open) -> list[SecretProvider]:
    """Open the providers of the settings, those that are not the engine's with `further`; nothing is connected to yet.

    Raises what `names_of` and `further` raise, and SettingsError where two have one name.
    """
    with ExitStack() as opened:
        found: list[SecretProvider] = []
        for name in names_of(settings):
            provider = _OPEN[name](settings) if name in _OPEN else further(name)
            opened.callback(provider.close)
            found.append(provider)
        by_name(found)
        opened.pop_all()
        return found


def _env_file(settings: Settings) -> SecretProvider:
    from holdfast.sources.secrets.env_file import EnvFile

    folder = settings.functions_path
    return EnvFile(_given(settings.secrets_env_file), used_in=[folder] if folder else [])


def _aws(settings: Settings) -> SecretProvider:
    from holdfast.sources.secrets.aws import AwsSecrets

    del settings  # account and region are those of AWS's own variables and profiles
    return AwsSecrets()


def _supabase(settings: Settings) -> SecretProvider:
    from holdfast.sources.secrets.supabase import SupabaseSecrets
    from holdfast.sources.supabase.client import ManagementApi

    folder = settings.functions_path
    project, token = _given(settings.supabase_project), _given(settings.supabase_access_token)
    return SupabaseSecrets(ManagementApi(settings.supabase_api_url, project, token), used_in=[folder] if folder else [])


def _postgres_roles(settings: Settings) -> SecretProvider:
    from holdfast.postgres.url import DatabaseUrl
    from holdfast.sources.secrets.postgres_roles import PostgresRoles

    return PostgresRoles(DatabaseUrl.parse(_given(settings.database_url)))


def _vault(settings: Settings) -> SecretProvider:
    from holdfast.postgres.url import DatabaseUrl
    from holdfast.sources.secrets.vault import SupabaseVault

    return SupabaseVault(DatabaseUrl.parse(_given(settings.database_url)))


def _given(value: _Setting | None) -> _Setting:
    """Take a setting that `names_of` has seen to be there."""
    assert value is not None  # noqa: S101
    return value


_OPEN: dict[str, Callable[[Settings], SecretProvider]] = {
    ENV_FILE: _env_file,
    "aws": _aws,
    "postgres-roles": _postgres_roles,
    "supabase": _supabase,
    "supabase-vault": _vault,
}
