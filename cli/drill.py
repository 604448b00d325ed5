"""`holdfast drill`: rehearse bringing everything back, as a flow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from cli import figures, jobs, output
from cli.app import Commands
from cli.backup_types import BackupType
from cli.flow_runs import outcome_of, ready_for_flows, shown
from cli.session import settings
from holdfast.errors import ExitCode

if TYPE_CHECKING:
    from rich.console import RenderableType

commands = Commands("")

Types = Annotated[
    list[BackupType] | None,
    typer.Option("--type", help="Only this type; may be given several times.", show_default="all that are on"),
]


@commands.command(rich_help_panel="Back up and bring back")
def drill(kinds: Types = None) -> None:
    """Bring the newest good backup of each type back into scratch, time it, compare it, and tear it down.

    Nothing live is touched. Ends with 5 where something did not come back as it was.
    """
    loaded = settings()
    ready_for_flows(loaded)
    with shown("Bringing back"):
        from flows.recovery_drill import recovery_drill

        found = outcome_of(recovery_drill, loaded.target, types=[kind.value for kind in kinds] if kinds else None)
    output.result(found, lambda: drill_text(found))
    if not found["ok"]:
        raise typer.Exit(ExitCode.DAMAGED)


def drill_text(found: jobs.Document) -> Iterator[RenderableType]:
    """Tell what came back, how long it took and of how many bytes, and what is wrong with the rest."""
    whole = figures.duration(found["seconds"])
    if found["ok"]:
        yield jobs.headline("All came back", f"in {whole}, one after the other")
    else:
        yield jobs.headline(str(found["jobId"]), "did not bring everything back", good=False)
    measured = ("Restored in", "Size")
    table = output.table("Type", "Backup", *measured, "Equal to its source", right=measured, whole=("Type", "Backup", *measured))
    for one in found["types"]:
        took = figures.duration(one["seconds"]) if one["seconds"] is not None else "–"
        table.add_row(one["type"], one["backupId"] or "–", took, figures.size(one["sizeBytes"]), "yes" if one["ok"] else "no")
    yield table
    for one in found["types"]:
        yield from (f"  {one['type']}: {problem}" for problem in one["problems"])
    yield from (f"  {note}" for note in found.get("notes", []))
