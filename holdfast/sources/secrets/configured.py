"""The providers that the settings name. What is not the engine's own, such as Prefect's blocks, is opened by whoever asks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from holdfast.errors import SettingsError
from holdfast.sources.secrets.contract import SecretProvider

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.settings import Settings

Open = Callable[[str], SecretProvider | None]
"""Opens a provider by its name in the settings; None for a name that it doesn't know."""


def providers_of(settings: Settings, further: Open | None = None) -> list[SecretProvider]:
    """Open the providers of the settings, those unknown here with `further`; nothing is connected to yet.

    Raises SettingsError for a name that nobody knows, and for a provider whose own settings are missing.
    """
    with ExitStack() as opened:
        found: list[SecretProvider] = []
        if settings.secrets_env_file is not None:
            found.append(_env_file(settings.secrets_env_file, settings))
        for name in settings.secrets_providers:
            provider = _KNOWN[name](settings) if name in _KNOWN else further(name) if further else None
            if provider is None:
                raise SettingsError(
                    f"BACKUP_SECRETS_PROVIDERS names {name!r}, which is no provider of secrets",
                    reason=f"known are prefect, {', '.join(sorted(_KNOWN))}, and blocks as type/name",
                )
            opened.callback(provider.close)
            found.append(provider)
        opened.pop_all()
        return found


def _env_file(path: Path, settings: Settings) -> SecretProvider:
    from holdfast.sources.secrets.env_file import EnvFile

    folder = settings.functions_path
    return EnvFile(path, used_in=[folder] if folder else [])


def _aws(settings: Settings) -> SecretProvider:
    from holdfast.sources.secrets.aws import AwsSecrets

    del settings  # account and region are those of AWS's own variables and profiles
    return AwsSecrets()


def _supabase(settings: Settings) -> SecretProvider:
    from holdfast.sources.secrets.supabase import SupabaseSecrets
    from holdfast.sources.supabase.client import ManagementApi

    if settings.supabase_project is None or settings.supabase_access_token is None:
        raise _lacking("supabase", "BACKUP_SUPABASE_PROJECT and BACKUP_SUPABASE_ACCESS_TOKEN")
    folder = settings.functions_path
    api = ManagementApi(settings.supabase_api_url, settings.supabase_project, settings.supabase_access_token)
    return SupabaseSecrets(api, used_in=[folder] if folder else [])


def _postgres_roles(settings: Settings) -> SecretProvider:
    from holdfast.postgres.url import DatabaseUrl
    from holdfast.sources.secrets.postgres_roles import PostgresRoles

    if settings.database_url is None:
        raise _lacking("postgres-roles", "BACKUP_DATABASE_URL")
    return PostgresRoles(DatabaseUrl.parse(settings.database_url))


def _vault(settings: Settings) -> SecretProvider:
    from holdfast.postgres.url import DatabaseUrl
    from holdfast.sources.secrets.vault import SupabaseVault

    if settings.database_url is None:
        raise _lacking("supabase-vault", "BACKUP_DATABASE_URL")
    return SupabaseVault(DatabaseUrl.parse(settings.database_url))


def _lacking(provider: str, variables: str) -> SettingsError:
    return SettingsError(f"the provider {provider} of BACKUP_SECRETS_PROVIDERS needs {variables}")


_KNOWN: dict[str, Callable[[Settings], SecretProvider]] = {
    "aws": _aws,
    "postgres-roles": _postgres_roles,
    "supabase": _supabase,
    "supabase-vault": _vault,
}
