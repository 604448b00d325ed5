"""Which of the guide's four types of backup are on: enabled, and with something to back up."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from holdfast.errors import SettingsError

if TYPE_CHECKING:
    from holdfast.repository import BackupType
    from holdfast.settings import Settings

TYPES: tuple[BackupType, ...] = ("database", "function", "config", "secrets")


def types_on(settings: Settings) -> list[BackupType]:
    """List the types that are on. Raises SettingsError where none is, telling for each why."""
    reasons = {kind: why_off(kind, settings) for kind in TYPES}
    on = [kind for kind in TYPES if reasons[kind] is None]
    if not on:
        raise SettingsError(
            "No type of backup is on",
            reason="; ".join(f"{kind}: {reason}" for kind, reason in reasons.items()),
            next_step="Set BACKUP_DATABASE_URL, or another of these, in the environment or in .env",
        )
    return on


def require_on(kind: BackupType, settings: Settings) -> None:
    """Raise SettingsError where the settings have this type switched off, or name no source for it."""
    reason = why_off(kind, settings)
    if reason is not None:
        raise SettingsError(
            f"Backups of the type {kind!r} are off", reason=reason, next_step="Set it in the environment or in .env"
        )


def why_off(kind: BackupType, settings: Settings) -> str | None:
    """Tell why a type is off, or None where it is on."""
    if not getattr(settings, f"enable_{kind}_backup"):
        return f"BACKUP_ENABLE_{kind.upper()}_BACKUP is false"
    missing = _MISSING[kind](settings)
    return None if missing is None else f"{missing}, so there is nothing to back up"


def _database(settings: Settings) -> str | None:
    return "BACKUP_DATABASE_URL is not set" if settings.database_url is None else None


def _function(settings: Settings) -> str | None:
    if settings.functions_path is not None:
        return None
    if settings.supabase_project is None:
        return "neither BACKUP_FUNCTIONS_PATH nor BACKUP_SUPABASE_PROJECT is set"
    return "BACKUP_SUPABASE_ACCESS_TOKEN is not set" if settings.supabase_access_token is None else None


def _config(settings: Settings) -> str | None:
    return None if settings.config_files or settings.config_env else "neither BACKUP_CONFIG_FILES nor BACKUP_CONFIG_ENV is set"


def _secrets(settings: Settings) -> str | None:
    if settings.secrets_env_file is not None or settings.secrets_providers:
        return None
    return "neither BACKUP_SECRETS_ENV_FILE nor BACKUP_SECRETS_PROVIDERS is set"


_MISSING: dict[str, Callable[[Settings], str | None]] = {
    "database": _database,
    "function": _function,
    "config": _config,
    "secrets": _secrets,
}
