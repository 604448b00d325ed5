"""`holdfast backup TYPE|all`: make a backup now."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, cast

import typer

from cli import jobs, output
from cli.app import Commands
from cli.flow_runs import ready_for_flows, send_what_waits, shown
from cli.session import settings
from holdfast import patience
from holdfast.backup_types import require_on, types_on
from holdfast.documents import Document
from holdfast.errors import BackupsFailedError, ExitCode, HoldfastError

if TYPE_CHECKING:
    from holdfast.repository import BackupType
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

    Where a replica failed, or something had to be left out of a backup, it ends with 1; the backup is made all the same.
    With all, the types are backed up at once; one that fails stops no other.
    """
    loaded = settings()
    if what is What.ALL:
        types_on(loaded)
        made, failed = _back_up_all(loaded)
    else:
        kind = cast("BackupType", what.value)
        require_on(kind, loaded)
        made, failed = [_back_up(kind, loaded)], None
    not_copied = _copied([job for job in made if job["status"] == "completed"], loaded)
    output.result(made if what is What.ALL else made[0], lambda: (part for job in made for part in jobs.backup_text(job)))
    code = _told(made, failed, not_copied)
    patience.leave(code, first=send_what_waits)
    raise typer.Exit(code)


def _told(made: list[Document], failed: HoldfastError | None, not_copied: HoldfastError | None) -> ExitCode:
    """Say on stderr what did not go well, and return the code to end with."""
    left_out = [name for job in made for name in job.get("leftOut") or []]
    if failed is not None:
        output.warn(failed.message)
    if left_out:
        output.warn(f"the backup is made, but without: {'; '.join(left_out[:10])}" + (" …" if len(left_out) > 10 else ""))
    if not_copied is not None:
        output.warn(f"the backup is made, but {not_copied}")
    return ExitCode.WORK_FAILED if failed or left_out or not_copied else ExitCode.DONE


def _copied(made: list[Document], loaded: Settings) -> HoldfastError | None:
    """Replicate now, unless a worker does so by itself, and add to the documents where the backups lie; return what failed."""
    if not loaded.replicas:
        return None
    from cli.replicas import known
    from orchestration.schedules import replicates_by_itself
    from orchestration.standing import copies

    failed = None
    if replicates_by_itself(loaded):
        output.note("A worker copies it to the replicas now.")
    else:
        failed = _replicate(loaded)
    copies.of_jobs(made, loaded, known(loaded), without=_behind(failed))
    return failed


def _replicate(loaded: Settings) -> HoldfastError | None:
    from blocks.names import own_defaults
    from flows.replication import replication

    try:
        with shown("Copying to the replicas"):
            replication(**own_defaults(replication, loaded.target))
    except HoldfastError as error:
        return error
    return None


def _behind(failed: HoldfastError | None) -> list[str]:
    """Name the replicas that a replication could not bring up to date."""
    found: Document = getattr(failed, "found", None) or {}
    return [replica["name"] for replica in found.get("replicas", []) if not replica["ok"]]


def _back_up(kind: BackupType, loaded: Settings) -> Document:
    _ready(loaded)
    from blocks.names import own_defaults

    with shown("Backing up"):
        flow = _flow_of(kind)
        return flow(**own_defaults(flow, loaded.target))


def _back_up_all(loaded: Settings) -> tuple[list[Document], HoldfastError | None]:
    """Back all types up that are on; return their jobs, and what failed."""
    _ready(loaded)
    from flows.backup_all import backup_all

    try:
        with shown("Backing up"):
            return backup_all(), None
    except BackupsFailedError as error:
        if error.found is None:
            raise
        return error.found, error


def _ready(loaded: Settings) -> None:
    from holdfast.opening import open_repository

    open_repository(loaded).close()  # what is wrong with the settings shows here, before a server is started
    ready_for_flows(loaded)


def _flow_of(kind: BackupType) -> Callable[..., Document]:
    """Import the flow that backs a type up, and no other."""
    return cast("Callable[..., Document]", getattr(import_module(f"flows.{kind}_backup"), f"{kind}_backup"))
