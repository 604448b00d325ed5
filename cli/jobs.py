"""Backups and jobs as documents, and as text.

A document is what `--json` prints: camelCase, the same names whether it comes from the repository, the catalog or a flow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cli import figures, output

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from holdfast.catalog import JobRecord, RestoreRecord
    from holdfast.postgres.connection import DatabaseUrl
    from holdfast.postgres.restore import RestoreReport
    from holdfast.repository import BackupSummary, Manifest, Pin, Repository
    from holdfast.source_restore import SourceRestore

Document = dict[str, Any]

_NAMES_SHOWN = 20
_STYLES = {
    "completed": "green",
    "failed": "red",
    "damaged": "red",
    "gone": "yellow",
    "cancelled": "yellow",
    "running": "cyan",
    "pending": "cyan",
}


def of_backup(repository: Repository, summary: BackupSummary) -> Document:
    """Describe a backup from the repository alone. A damaged one is described as such, never left out."""
    document = _empty(summary.id, summary.type)
    document["location"] = f"{repository.location.rstrip('/')}/manifests/{summary.type}/{summary.id}"
    if summary.intact is None:
        return document | {"status": "damaged", "error": summary.damaged}
    manifest = summary.intact
    return document | {
        "status": "completed",
        "sizeBytes": manifest.size_bytes,
        "storedBytes": manifest.stored_bytes,
        "checksum": manifest.checksum,
        "startedAt": manifest.started_at,
        "completedAt": manifest.finished_at,
        "verifiedLevel": repository.verified_level(summary.id),
        "snapshotAt": manifest.snapshot_at,
    }


def pinned(pin: Pin | None) -> Document | None:
    """Describe a pin; None where there is none."""
    if pin is None:
        return None
    return {"at": None if pin.damaged else pin.at, "by": pin.by, "reason": pin.reason, "damaged": pin.damaged}


def of_row(row: JobRecord) -> Document:
    """Describe a job that the repository does not know, from its row in the catalog: a backup that was made is gone."""
    return _empty(row.job_id, row.type) | {
        "status": "gone" if row.status == "completed" else row.status,
        "sizeBytes": row.size_bytes,
        "storedBytes": row.metadata.get("storedBytes"),
        "checksum": row.checksum,
        "location": row.location,
        "startedAt": row.started_at,
        "completedAt": row.completed_at,
        "verifiedLevel": row.metadata.get("verifiedLevel"),
        "snapshotAt": row.metadata.get("snapshotAt"),
        "error": row.error_message,
    }


def of_restore_row(row: RestoreRecord) -> Document:
    """Describe a restore from its row in the catalog."""
    return _empty(row.job_id, row.type) | {
        "backupId": row.backup_id,
        "status": row.status,
        "startedAt": row.started_at,
        "completedAt": row.completed_at,
        "error": row.error_message,
        **{name: row.metadata.get(name) for name in ("mode", "target", "kept", "proven")},
        "notes": row.metadata.get("notes", []),
    }


def of_restore(job_id: str, manifest: Manifest, target: DatabaseUrl, report: RestoreReport, started_at: datetime) -> Document:
    """Describe a restore that the engine did without a flow, in the words of the flow's own document."""
    return _empty(job_id, manifest.type) | {
        "backupId": manifest.id,
        "mode": report.mode,
        "target": target.redacted,
        "status": "completed",
        "sizeBytes": report.size_bytes,
        "startedAt": started_at,
        "completedAt": datetime.now(UTC),
        "tables": report.tables,
        "rows": report.rows,
        "kept": report.kept,
        "proven": report.proof.ok if report.proof else None,
        "problems": report.proof.problems if report.proof else [],
        "notes": report.notes,
    }


def of_file_restore(job_id: str, restore: SourceRestore, started_at: datetime) -> Document:
    """Describe a restore of files that the engine did without a flow, in the words of the flow's own document."""
    report = restore.report
    return _empty(job_id, restore.manifest.type) | {
        "backupId": restore.manifest.id,
        "mode": restore.mode,
        "target": str(restore.target),
        "status": "completed",
        "sizeBytes": report.size_bytes,
        "startedAt": started_at,
        "completedAt": datetime.now(UTC),
        "files": report.files,
        "documents": report.documents,
        "kept": report.kept,
        "proven": not report.problems,
        "problems": report.problems,
        "notes": report.notes,
    }


def _empty(job_id: str, kind: str) -> Document:
    names = (
        "status",
        "sizeBytes",
        "storedBytes",
        "checksum",
        "location",
        "startedAt",
        "completedAt",
        "verifiedLevel",
        "snapshotAt",
        "error",
    )
    return {"jobId": job_id, "type": kind, **dict.fromkeys(names)}


def when(value: Any) -> datetime | None:
    """Read a time of a document: a flow's is text, the repository's is a time."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def table(documents: Sequence[Document]) -> RenderableType:
    """Show jobs as one table; the status of a backup is how far it is proven."""
    figures_of = ("Read", "Added", *(["Copies"] if any("copies" in job for job in documents) else []))
    names = ("Job", "Type", "Made (UTC)", "Status", *figures_of)
    shown = output.table(*names, right=figures_of, whole=("Job", "Type", "Status", *figures_of))
    for job in documents:
        word = job["verifiedLevel"] if job["status"] == "completed" and job["verifiedLevel"] else job["status"]
        word += ", pinned" if job.get("pinned") else ""
        made = figures.minute(when(job["startedAt"]))
        read, added = figures.size(job["sizeBytes"]), figures.size(job["storedBytes"])
        copies = [str(len(job["copies"]))] if "copies" in job else []
        shown.add_row(job["jobId"], job["type"], made, status(job["status"], word), read, added, *copies)
    return shown


def status(name: str, shown: str | None = None) -> Text:
    """Show a status, or another word for it, in its colour."""
    from rich.text import Text

    return Text(shown or name, style=_STYLES.get(name, ""))


def headline(word: str, rest: str, *, good: bool | None = True) -> Text:
    """Make the first line of an answer: a mark (None: neither good nor bad), what it is about, how it went."""
    from rich.text import Text

    mark = {True: ("✓ ", "green"), False: ("✗ ", "red"), None: ("– ", "dim")}[good]
    return Text.assemble(mark, (word, "bold"), f" {rest}")


def backup_text(job: Document) -> Iterator[RenderableType]:
    """Tell what a backup run made."""
    if job["status"] != "completed":
        yield headline(str(job["jobId"]), f"{job['type']} {job['status']}", good=False)
        yield f"  {job['error']}"
        return
    duration = took(job)
    yield headline(str(job["jobId"]), f"{job['type']} {job['status']}" + (f" in {duration}" if duration else ""))
    yield output.facts(*_backup_facts(job))


def _backup_facts(job: Document) -> Iterator[tuple[str, str | None]]:
    read, kept = job["sizeBytes"], job["storedBytes"]
    yield "  Read", figures.size(read)
    yield "  Added", f"{figures.size(kept)}  ({figures.share(kept, read)})" if kept else figures.size(kept)
    yield "  Proven to", job["verifiedLevel"]
    yield "  Pinned", _pinned_text(job.get("pinned"))
    yield "  Checksum", job["checksum"]
    yield "  Kept in", job["location"]
    for label, name in (("  Left out", "leftOut"), ("  Withheld", "withheld")):
        yield label, some(job.get(name))
    yield "  Copies", ", ".join(str(copy["storage"]) for copy in job["copies"]) if "copies" in job else None


def _pinned_text(pin: Document | None) -> str | None:
    if pin is None:
        return None
    if pin["damaged"]:
        return f"its pin is damaged: {pin['damaged']}; pin it again"
    return f"by {pin['by']} on {figures.minute(when(pin['at']))}" + (f": {pin['reason']}" if pin["reason"] else "")


def some(names: Sequence[str] | None) -> str | None:
    """Write names one a line, the first of them where they are many."""
    more = len(names or ()) - _NAMES_SHOWN
    return "\n".join([*(names or ())[:_NAMES_SHOWN], *([f"and {more:,} more; --json has all"] if more > 0 else [])]) or None


def took(job: Document) -> str | None:
    """Tell how long a job took, where that is known."""
    started, ended = when(job["startedAt"]), when(job["completedAt"])
    return figures.duration((ended - started).total_seconds()) if started and ended else None
