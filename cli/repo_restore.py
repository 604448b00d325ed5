"""What `holdfast repo restore` does by the engine alone, and how it is told: in the words of the flow's own document."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cli import progress
from holdfast import documents
from holdfast.documents import Document
from holdfast.jobs import new_job_id
from holdfast.opening import notes_on_reading

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.postgres.restore import RestoreOptions
    from holdfast.postgres.url import DatabaseUrl
    from holdfast.repository import Manifest, Repository


def database(held: Repository, manifest: Manifest, target: DatabaseUrl, options: RestoreOptions) -> Document:
    """Restore a database. Raises NotProvenError where the result differs from the source."""
    from holdfast.postgres.restore import DatabaseRestore
    from holdfast.postgres.restore_report import not_proven

    job_id, started_at = new_job_id("restore"), datetime.now(UTC)
    with progress.counted("Restoring", "bytes") as update:
        report = DatabaseRestore(held, manifest, target, options).run(lambda phase, done, whole: update(done, whole))
    document = documents.of_restore(job_id, manifest, target, report, started_at)
    if document["problems"]:
        raise not_proven(target.database, document["problems"])
    return _with_notes(document, held)


def files(held: Repository, manifest: Manifest, target: Path, mode: str, only: list[str]) -> Document:
    """Restore files and documents into a folder. Raises NotProvenError where the result differs from the source."""
    from holdfast.source_restore import SourceRestore, folder_mode

    job_id, started_at = new_job_id("restore"), datetime.now(UTC)
    restore = SourceRestore(held, manifest, target, job_id=job_id, mode=folder_mode(mode), only=only)
    with restore, progress.counted("Restoring", "bytes") as update:
        done_bytes: dict[str, int] = {}

        def told(name: str, done: int) -> None:
            done_bytes[name] = done
            update(sum(done_bytes.values()), restore.expected_bytes)

        restore.on_progress = told
        restore.run()
    return _with_notes(documents.of_file_restore(job_id, restore, started_at), held)


def _with_notes(document: Document, held: Repository) -> dict[str, Any]:
    return document | {"readFrom": held.standing_in, "notes": [*document["notes"], *notes_on_reading(held)]}
