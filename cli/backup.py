"""`holdfast backup TYPE|all`: make a backup now."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import copies, jobs, output, patience
from cli.app import Commands
from cli.backup_types import PRESENT, BackupType, require_present
from cli.flow_runs import ready_for_flows, send_what_waits, shown
from cli.session import settings
from holdfast.errors import ExitCode, HoldfastError, SettingsError

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
    """Make a backup now, and bring the replicas up to date, where nothing else does that.

    Where a replica failed it ends with 1; the backup is made all the same.
    """
    if what is not What.ALL:
        require_present(BackupType(what.value))
    loaded = settings()
    kinds = _all_on(loaded) if what is What.ALL else [BackupType(what.value)]
    for kind in kinds:
        require_on(kind, loaded)
    made = [_back_up(kind, loaded) for kind in kinds]
    failed = _copied(made, loaded)
    output.result(made if what is What.ALL else made[0], lambda: (part for job in made for part in jobs.backup_text(job)))
    code = ExitCode.DONE if failed is None else ExitCode.WORK_FAILED
    if failed is not None:
        output.warn(f"the backup is made, but {failed}")
    patience.leave(code, first=send_what_waits)
    raise typer.Exit(code)


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


def _copied(made: list[jobs.Document], loaded: Settings) -> HoldfastError | None:
    """Replicate now, unless a worker does so by itself, and add to the documents where the backups lie; return what failed."""
    if not loaded.replicas:
        return None
    from orchestration.deployments import replicates_by_itself

    failed = None
    if replicates_by_itself():
        output.note("A worker copies it to the replicas now.")
    else:
        failed = _replicate()
    copies.of_jobs(made, loaded, without=_behind(failed))
    return failed


def _replicate() -> HoldfastError | None:
    from flows.replication import replication

    try:
        with shown("Copying to the replicas"):
            replication()
    except HoldfastError as error:
        return error
    return None


def _behind(failed: HoldfastError | None) -> list[str]:
    """Name the replicas that a replication could not bring up to date."""
    found: jobs.Document = getattr(failed, "found", None) or {}
    return [replica["name"] for replica in found.get("replicas", []) if not replica["ok"]]


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
