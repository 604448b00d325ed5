"""What is backed up, as a place that a person knows: an address without its password, a folder, patterns. It is not looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from holdfast.errors import SettingsError
from holdfast.postgres.url import DatabaseUrl

if TYPE_CHECKING:
    from holdfast.repository import BackupType
    from holdfast.settings import Settings


def source_of(kind: BackupType, settings: Settings) -> str | None:
    """Say where a type of backup comes from; None where the settings name nothing."""
    return _OF[kind](settings)


def _database(settings: Settings) -> str | None:
    if settings.database_url is None:
        return None
    try:
        return DatabaseUrl.parse(settings.database_url).redacted
    except SettingsError:
        return "an address that can't be read"


def _functions(settings: Settings) -> str | None:
    if settings.functions_path is not None:
        return str(settings.functions_path)
    return None if settings.supabase_project is None else f"the Supabase project {settings.supabase_project}"


def _configuration(settings: Settings) -> str | None:
    variables = [f"variables {pattern}" for pattern in settings.config_env]
    return ", ".join([*map(str, settings.config_files), *variables]) or None


def _secrets(settings: Settings) -> str | None:
    file = [] if settings.secrets_env_file is None else [str(settings.secrets_env_file)]
    return ", ".join([*file, *settings.secrets_providers]) or None


_OF: dict[BackupType, Callable[[Settings], str | None]] = {
    "database": _database,
    "function": _functions,
    "config": _configuration,
    "secrets": _secrets,
}
