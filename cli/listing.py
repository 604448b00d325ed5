"""`holdfast list` and `holdfast show`: what there is, from the repository first.

The catalog adds what the repository can't know: runs that failed or still go on. It is asked only when it answers at once;
nothing is started for a listing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cli import figures, jobs, output
from cli.app import Commands
from cli.backup_types import BackupType
from cli.replicas import known, opened
from cli.restore import restore_text
from cli.session import settings
from holdfast import documents, patience
from holdfast.documents import Document
from holdfast.errors import NotFoundError, UnreachableError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from holdfast.catalog import JobRecord
    from holdfast.repository import Repository
    from holdfast.settings import Settings

commands = Commands("")

KindFilter = Annotated[BackupType | None, typer.Option("--type", help="Only backups of this type.", show_default=False)]
Limit = Annotated[int, typer.Option(min=1, help="How many at most.")]


@commands.command("list", rich_help_panel="Look")
def list_backups(kind: KindFilter = None, limit: Limit = 20) -> None:
    """List backups, newest first, and the runs that made none."""
    from orchestration.standing import copies

    loaded = settings()
    held = opened(loaded)
    rows = catalog_rows(loaded, kind, limit) or []
    found = merged(held, rows, kind, limit)
    copies.of_jobs(found, loaded, known(loaded), rows)
    output.result(
        found,
        lambda: jobs.table(found) if found else f"There is no backup in {held.location} yet. Make one with: holdfast backup all",
    )
    patience.leave()


@commands.command(rich_help_panel="Look")
def show(
    job_id: Annotated[str, typer.Argument(metavar="JOB_ID|latest", help="A backup or a job.")] = "latest",
    kind: Annotated[BackupType, typer.Option("--type", help="The type of backup that 'latest' means.")] = BackupType.DATABASE,
) -> None:
    """Show one backup in full: what is in it, and how it was proven."""
    loaded = settings()
    document = documents.in_full(opened(loaded), job_id, kind.value) or _row(loaded, job_id)
    if document is None:
        raise NotFoundError(f"There is no backup and no job {job_id!r}", next_step="'holdfast list' shows what there is")
    output.result(document, lambda: _in_full(document))


def merged(held: Repository, rows: Sequence[JobRecord], kind: BackupType | None, limit: int) -> list[Document]:
    """Join what the repository holds with the rows of the catalog; the repository is right where both know a job."""
    summaries = held.backups(kind)
    known = {summary.id for summary in summaries}
    pins = held.pins()
    described = documents.of_backups(held, summaries[:limit])
    kept = [document | {"pinned": documents.pinned(pins.get(document["jobId"]))} for document in described]
    others = [documents.of_row(row) | {"pinned": None} for row in rows if row.job_id not in known]
    return sorted(kept + others, key=_newest_last, reverse=True)[:limit]


def catalog_rows(loaded: Settings, kind: BackupType | None, limit: int) -> list[JobRecord] | None:
    """Return the newest rows of the catalog, or None where it does not answer at once."""
    from holdfast.opening import catalog_if_running

    try:
        with catalog_if_running(loaded) as catalog:
            return None if catalog is None else catalog.jobs(type=kind and kind.value, limit=limit)
    except UnreachableError:
        return None


def _newest_last(job: Document) -> tuple[datetime, str]:
    return jobs.when(job["startedAt"]) or datetime.min.replace(tzinfo=UTC), str(job["jobId"])


def _row(loaded: Settings, job_id: str) -> Document | None:
    """Describe a job that only the catalog knows."""
    from holdfast.opening import catalog_if_running

    with catalog_if_running(loaded) as catalog:
        if catalog is None:
            return None
        if (row := catalog.job(job_id)) is not None:
            return documents.of_row(row)
        if (restored := catalog.restore(job_id)) is not None:
            return documents.of_restore_row(restored)
        other = catalog.maintenance.find(job_id)
        return None if other is None else documents.of_maintenance_row(other)


def _in_full(document: Document) -> Iterator[RenderableType]:
    yield from restore_text(document) if "backupId" in document else jobs.backup_text(document)
    if document.get("entries"):
        shown = output.table("Entry", "Kind", "Rows", "Read", right=("Rows", "Read"))
        for entry in document["entries"]:
            rows = "–" if entry["rows"] is None else f"{entry['rows']:,}"
            shown.add_row(entry["name"], entry["kind"], rows, figures.size(entry["sizeBytes"]))
        yield ""
        yield shown
    if document.get("proofs"):
        shown = output.table("Proof", "When (UTC)", "Host", "Problems")
        for proof in document["proofs"]:
            mark = jobs.status("completed", proof["level"]) if proof["ok"] else jobs.status("failed", f"not {proof['level']}")
            shown.add_row(mark, figures.moment(proof["at"]), proof["host"], "\n".join(proof["problems"]))
        yield ""
        yield shown
