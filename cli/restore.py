"""`holdfast restore`: bring a backup back, as a flow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import jobs, output
from cli.app import Commands
from cli.backup_types import BackupType, require_present
from cli.flow_runs import ready_for_flows, shown
from cli.replicas import FromReplica
from cli.session import settings
from cli.targets import Target, as_flow_parameter, target_url
from cli.verify import JobId, TypeOption

if TYPE_CHECKING:
    from rich.console import RenderableType

commands = Commands("")

_BETWEEN_COMMAS = re.compile(r'(?:[^",]|"[^"]*")+')


class Mode(StrEnum):
    """How a restore meets what is live."""

    NEW = "new"
    PROMOTE = "promote"
    IN_PLACE = "in_place"


ModeOption = Annotated[
    Mode,
    typer.Option(
        help="new: build a database that is not there yet. promote: build, compare, then swap names with the live one, "
        "which is kept. in_place: replace what the live one holds, in one transaction."
    ),
]
Tables = Annotated[
    list[str] | None,
    typer.Option(
        "--tables",
        metavar="SCHEMA.TABLE",
        help="Only these tables; may be given several times, or with commas.",
        show_default=False,
    ),
]


@commands.command(rich_help_panel="Back up and bring back")
def restore(
    job_id: JobId,
    *,
    target: Target = None,
    mode: ModeOption = Mode.NEW,
    tables: Tables = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check, and say what would be lost; change nothing.")] = False,
    kind: TypeOption = BackupType.DATABASE,
    source: FromReplica = None,
) -> None:
    """Bring a backup back.

    Nothing that is live is touched unless --mode says so.
    """
    require_present(kind)
    url = target_url(target)
    ready_for_flows(settings())
    from flows.restore import restore as restore_flow

    with as_flow_parameter(url) as name, shown("Restoring"):
        parameters: dict[str, Any] = {"backup_id": job_id, "type": kind.value, "mode": mode.value, "tables": table_names(tables)}
        done = restore_flow(target=name, dry_run=dry_run, from_replica=source, **parameters)
    output.result(done, lambda: restore_text(done))


def table_names(given: list[str] | None) -> list[str]:
    """Split the values of --tables at commas that no double quotes enclose."""
    names = [name.strip() for value in given or [] for name in _BETWEEN_COMMAS.findall(value)]
    return [name for name in names if name]


def restore_text(job: jobs.Document) -> Iterator[RenderableType]:
    """Tell what a restore made, or would do."""
    took = jobs.took(job)
    ended = "can be done; nothing was changed" if job.get("dryRun") else f"{job['status']}{f' in {took}' if took else ''}"
    yield jobs.headline(str(job["jobId"]), ended)
    rows = f"{job['tables']:,} tables, {job['rows']:,} rows" if job.get("tables") else None
    yield output.facts(
        ("  Backup", str(job["backupId"])),
        ("  Read from", job.get("readFrom")),
        ("  Target", job.get("target")),
        ("  Restored", rows),
        ("  Proven", "equal to what the source held" if job.get("proven") else None),
        ("  Former one", job.get("kept") and f"kept as {job['kept']}"),
    )
    for loss in job.get("losses") or []:
        yield f"  {'would lose' if job['dryRun'] else 'lost'} {loss['rows']:,} of {loss['liveRows']:,} rows of {loss['table']}"
    if job.get("losses") == []:
        yield (
            "  No table holds more rows now than in the backup."
            if job["dryRun"]
            else "  No rows were lost, as far as counts tell."
        )
    for told in [*job.get("problems", []), *job.get("notes", [])]:
        yield f"  {told}"
