"""`holdfast verify`: prove a backup, as a flow."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import jobs, output
from cli.app import Commands
from cli.backup_types import BackupType
from cli.flow_runs import outcome_of, ready_for_flows, shown
from cli.replicas import FromReplica
from cli.session import settings
from holdfast.documents import Document
from holdfast.errors import DamagedError, ExitCode

if TYPE_CHECKING:
    from rich.console import RenderableType

commands = Commands("")


class Level(StrEnum):
    """How far a backup is proven, each stronger than the one before."""

    STORED = "stored"
    READ = "read"
    RESTORED = "restored"
    PROVEN = "proven"


JobId = Annotated[str, typer.Argument(metavar="JOB_ID|latest", help="Which backup; 'holdfast list' shows them.")]
TypeOption = Annotated[BackupType, typer.Option("--type", help="The type of backup that 'latest' means.")]
Subset = Annotated[
    str | None, typer.Option(metavar="K/N", help="Only the K-th of N parts of the chunks; N runs see all.", show_default=False)
]


@commands.command(rich_help_panel="Back up and bring back")
def verify(
    job_id: JobId = "latest",
    level: Annotated[Level, typer.Option(help="How far to prove it.")] = Level.PROVEN,
    subset: Subset = None,
    kind: TypeOption = BackupType.DATABASE,
    source: FromReplica = None,
) -> None:
    """Prove that a backup is whole, can be restored, and equals its source.

    Ends with 5 where it is not so. What was found is kept as a proof, beside the backup: with --from, in that replica.
    """
    from holdfast.verification import parse_subset

    parse_subset(subset)
    loaded = settings()
    ready_for_flows(loaded)
    with shown("Verifying"):
        found = _verified(loaded.target, backup_id=job_id, type=kind.value, level=level.value, subset=subset, from_replica=source)
    output.result(found, lambda: _text(found))
    if not found["ok"]:
        raise typer.Exit(ExitCode.DAMAGED)


def _verified(target: str | None, **parameters: Any) -> Document:
    """Run the verification; where not even the manifest can be read, that is its outcome, too."""
    from flows.verification import verification

    try:
        return outcome_of(verification, target, **parameters)
    except DamagedError as error:
        names = {"jobId": None, "type": parameters["type"], "backupId": parameters["backup_id"], "level": parameters["level"]}
        return {**names, "status": "failed", "ok": False, "problems": [str(error)], "error": str(error)}


def _text(found: Document) -> Iterator[RenderableType]:
    if found["ok"]:
        yield jobs.headline(str(found["backupId"]), f"is {found['level']}")
    else:
        yield jobs.headline(str(found["backupId"]), "did not pass", good=False)
    for told in [*found["problems"], *found.get("notes", [])]:
        yield f"  {told}"
