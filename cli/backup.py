"""`holdfast backup TYPE|all`: make a backup now."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import jobs, output
from cli.app import Commands
from cli.backup_types import PRESENT, BackupType, require_present
from cli.flow_runs import ready_for_flows, shown
from cli.session import settings
from holdfast.errors import SettingsError

if TYPE_CHECKING:
    from holdfast.settings import Settings

commands = Commands("")


class What(StrEnum):
    """What to back up: one of the types, or all that are on."""

    DATABASE = "database"
    FUNCTION = "function"
    CONFIG = "config"
    SECRETS = "secrets"
    ALL = "all"


@commands.command(rich_help_panel="Back up and bring back")
def backup(
    what: Annotated[
        What, typer.Argument(metavar="TYPE|all", help="database, function, config, secrets, or all.", show_default=False)
    ],
) -> None:
    """Make a backup now."""
    if what is What.ALL:
        loaded = settings()
        made = [_back_up(kind, loaded) for kind in _all_on(loaded)]
        output.result(made, lambda: (part for job in made for part in jobs.backup_text(job)))
        return
    kind = BackupType(what.value)
    require_present(kind)
    loaded = settings()
    require_on(kind, loaded)
    job = _back_up(kind, loaded)
    output.result(job, lambda: jobs.backup_text(job))


def require_on(kind: BackupType, loaded: Settings) -> None:
    """Raise SettingsError where the settings have this type switched off, or name no source for it."""
    reason = why_off(kind, loaded)
    if reason is not None:
        raise SettingsError(
            f"Backups of the type {kind.value!r} are off", reason=reason, next_step="Set it in the environment or in .env"
        )


def why_off(kind: BackupType, loaded: Settings) -> str | None:
    """Tell why a type is off, or None where it is on."""
    variable = f"BACKUP_ENABLE_{kind.name}_BACKUP"
    if not getattr(loaded, f"enable_{kind.value}_backup"):
        return f"{variable} is false"
    if kind is BackupType.DATABASE and loaded.database_url is None:
        return "BACKUP_DATABASE_URL is not set, so there is nothing to back up"
    return None


def _all_on(loaded: Settings) -> list[BackupType]:
    on = [kind for kind in PRESENT if why_off(kind, loaded) is None]
    if not on:
        raise SettingsError(
            "No type of backup is on",
            reason="; ".join(f"{kind.value}: {why_off(kind, loaded)}" for kind in PRESENT),
            next_step="Set BACKUP_DATABASE_URL in the environment or in .env",
        )
    return on


def _back_up(kind: BackupType, loaded: Settings) -> dict[str, Any]:
    from holdfast.opening import open_repository

    open_repository(loaded).close()  # what is wrong with the settings shows here, before a server is started
    ready_for_flows(loaded)
    from flows.database_backup import database_backup

    assert kind is BackupType.DATABASE  # noqa: S101  the only one that is present
    with shown("Backing up"):
        return database_backup()
