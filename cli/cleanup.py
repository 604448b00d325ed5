"""`holdfast cleanup`: show which backups the rules let go and why, and have a flow do it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from cli import figures, jobs, output
from cli.app import Commands
from cli.flow_runs import outcome_of, ready_for_flows, shown
from cli.session import settings
from holdfast.documents import Document
from holdfast.errors import ExitCode

if TYPE_CHECKING:
    from rich.console import RenderableType

commands = Commands("")
_SHOWN = 1000  # rows of a table: more are for programs


@commands.command(rich_help_panel="Back up and bring back")
def cleanup(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go, and why.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Also where most of the good backups of a type would go at once.")] = False,
) -> None:
    """Delete the backups that the rules of retention let go, in the replicas too, and old rows of the catalog.

    The newest proven backup, the last good ones and what is pinned always stay; nothing goes while backups fail.
    """
    loaded = settings()
    ready_for_flows(loaded)
    with shown("Cleaning up"):
        from flows.cleanup import cleanup as flow

        document = outcome_of(flow, loaded.target, dry_run=dry_run, yes=yes)
    output.result(document, lambda: cleanup_text(document))
    if document["status"] != "completed":
        raise typer.Exit(ExitCode.WORK_FAILED)


def cleanup_text(document: Document) -> Iterator[RenderableType]:
    """Tell what went or would go, what stays for a special reason, and what could not be done."""
    word = "would go" if document["dryRun"] else "deleted"
    count, kept = len(document["deleted"]), len(document["kept"]) + len(document["spared"])
    would_be = "would be " if document["dryRun"] else ""
    freed = f", {figures.size(document['freedBytes'])} {would_be}freed" if document["freedBytes"] is not None else ""
    yield jobs.headline(f"{count} {_backups(count)} {word},", f"{kept} stay{freed}", good=document["status"] == "completed")
    if count:
        yield from _table(document["deleted"], "Why it goes")
    special = [one | {"why": "; ".join(one["why"])} for one in document["kept"] if one["special"]]
    if special:
        yield from _table(special, "Why it stays")
    for one in document["spared"]:
        yield f"  {one['jobId']} stays for now: {one['why']}"
    for one in document["refused"]:
        of = f" of {one['source']}" if one["source"] else ""
        yield f"  Nothing of the type {one['type']}{of} goes: {one['why']}"
    for replica in document["replicas"]:
        gone = len(replica["deleted"])
        yield jobs.headline(replica["name"], f"{gone} {_backups(gone)} {word}", good=replica["ok"])
        yield from (f"  {problem}" for problem in replica["problems"])
    yield from (f"  {told}" for told in [*document["problems"], *document["notes"]])


def _table(rows: list[Document], why: str) -> Iterator[RenderableType]:
    shown = output.table("Job", "Type", "Snapshot at (UTC)", "Added", why, right=("Added",), whole=("Job",))
    for one in rows[:_SHOWN]:
        moment = figures.minute(jobs.when(one["snapshotAt"]))
        shown.add_row(one["jobId"], one["type"], moment, figures.size(one["storedBytes"]), one["why"])
    yield shown
    if len(rows) > _SHOWN:
        yield f"  and {len(rows) - _SHOWN:,} more; --json has all"


def _backups(count: int) -> str:
    return "backup" if count == 1 else "backups"
