"""`holdfast restore`: bring a backup back, as a flow."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import jobs, output
from cli.app import Commands
from cli.backup_types import BackupType
from cli.flow_runs import ready_for_flows, shown
from cli.replicas import FromReplica
from cli.session import settings
from cli.targets import Target, as_flow_parameter, source_target, target_url
from cli.verify import JobId, TypeOption
from holdfast.documents import Document

if TYPE_CHECKING:
    from rich.console import RenderableType

commands = Commands("")

_GOOD = {"completed": True, "pending": None, "running": None}
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
Only = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Only this function, file:PATH, environment:NAME, backup_config:KEY, recovery_plans:ID, prefect:KIND, or "
        "provider; may be given several times, or with commas.",
        show_default=False,
    ),
]
Unproven = Annotated[
    bool,
    typer.Option("--unproven", help="Do not compare a new database with what the source held; nothing vouches for it then."),
]
NoAnalyze = Annotated[
    bool,
    typer.Option(
        "--no-analyze", help="Gather no planner's statistics that the backup has not; the server does, in its own time."
    ),
]
EnvFile = Annotated[
    Path | None,
    typer.Option(help="The .env file that variables of a configuration are put into.", show_default=False),
]


@commands.command(rich_help_panel="Back up and bring back")
def restore(
    job_id: JobId,
    *,
    target: Target = None,
    mode: ModeOption = Mode.NEW,
    tables: Tables = None,
    only: Only = None,
    env_file: EnvFile = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check, and say what would be lost; change nothing.")] = False,
    unproven: Unproven = False,
    no_analyze: NoAnalyze = False,
    kind: TypeOption = BackupType.DATABASE,
    source: FromReplica = None,
) -> None:
    """Bring a backup back.

    Nothing that is live is touched unless --mode says so.
    """
    if kind is not BackupType.DATABASE:
        refuse_without_use(kind, unproven=unproven, no_analyze=no_analyze)
    place = _database_target(target) if kind is BackupType.DATABASE else contextlib.nullcontext(source_target(target))
    parameters: dict[str, Any] = {"backup_id": job_id, "type": kind.value, "mode": mode.value}
    parameters |= {"tables": names(tables), "only": names(only), "env_file": env_file and env_file.absolute()}
    parameters |= {"unproven": unproven, "analyze": not no_analyze}
    loaded = settings()
    ready_for_flows(loaded)
    from blocks.names import own_defaults
    from flows.restore import restore as restore_flow

    parameters |= own_defaults(restore_flow, loaded.target)
    with place as name, shown("Restoring"):
        done = restore_flow(target=name, dry_run=dry_run, from_replica=source, **parameters)
    output.result(done, lambda: restore_text(done))


def refuse_without_use(kind: BackupType, *, unproven: bool, no_analyze: bool) -> None:
    """Refuse what only databases have. Raises SettingsError."""
    if unproven or no_analyze:
        from holdfast.source_restore import refuse_for_databases_only

        refuse_for_databases_only(kind.value, prove=not unproven, analyze=not no_analyze)


def _database_target(target: str | None) -> contextlib.AbstractContextManager[str]:
    return as_flow_parameter(target_url(target))


def names(given: list[str] | None) -> list[str]:
    """Split the values of --tables and --only at commas that no double quotes enclose."""
    found = [name.strip() for value in given or [] for name in _BETWEEN_COMMAS.findall(value)]
    return [name for name in found if name]


def restore_text(job: Document) -> Iterator[RenderableType]:
    """Tell what a restore made, or would do."""
    took = jobs.took(job)
    ended = "can be done; nothing was changed" if job.get("dryRun") else f"{job['status']}{f' in {took}' if took else ''}"
    yield jobs.headline(str(job["jobId"]), ended, good=_GOOD.get(job["status"], False))
    if job["error"]:
        yield f"  {job['error']}"
    yield output.facts(
        ("  Backup", str(job["backupId"])),
        ("  Read from", job.get("readFrom")),
        ("  Target", job.get("target")),
        ("  Would restore" if job.get("dryRun") else "  Restored", _restored(job)),
        *_made(job),
        ("  Proven", "equal to what the source held" if job.get("proven") else None),
        ("  Former one", job.get("kept") and f"kept as {job['kept']}"),
        ("  Undo", f"holdfast roll-back {shlex.quote(job['kept'])}" if job.get("kept") and job["type"] != "database" else None),
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


def _restored(job: Document) -> str | None:
    if job.get("tables"):
        return f"{job['tables']:,} table{'' if job['tables'] == 1 else 's'}, {job['rows']:,} rows"
    counted = {name: job.get(name) for name in ("files", "documents", "functions", "secrets")}
    return ", ".join(f"{count:,} {name if count != 1 else name[:-1]}" for name, count in counted.items() if count) or None


def _made(job: Document) -> Iterator[tuple[str, str | None]]:
    """Name what was put in its place, or would be: settings and files by what --only takes, secrets by provider and name."""
    changes, prefect = job.get("changes") or {}, job.get("prefect") or {}
    changed = [f"environment:{one['name']}" for one in changes.get("environment", [])]
    changed += [f"file:{one['path']}" for one in changes.get("files", [])]
    changed += [f"backup_config:{one['name']}" for one in changes.get("backupConfig", [])]
    changed += [f"recovery_plans:{one['id']}" for one in changes.get("recoveryPlans", [])]
    changed += [f"prefect:{name}" for name in (*prefect.get("created", []), *prefect.get("changed", {}))]
    would = "Would " if job.get("dryRun") else ""
    yield f"  {would}{'change' if would else 'Changed'}", jobs.some(changed)
    yield f"  {would}{'make' if would else 'Made'}", jobs.some(job.get("created"))
    yield f"  {would}{'amend' if would else 'Amended'}", jobs.some(job.get("amended"))
    if changes and not changed and not job.get("files"):
        yield "  Changed", "nothing: all is as the backup has it"
