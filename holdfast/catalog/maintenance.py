"""The rows of jobs that the guide has no table for: verifications, checks, drills, clean-ups, replications, reports, and restores
and plans that only looked. Their life is that of a backup job; beside it they keep the document that they ended with.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sql
from holdfast.catalog.database import Database
from holdfast.catalog.records import MaintenanceRecord, Metadata, from_row, to_json, to_text


class Maintenance:
    """The maintenance jobs of a catalog. Every method raises DatabaseUnreachableError where that does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asked = sql.queries("maintenance_jobs")

    def announce(self, job_id: str, kind: str, type: str, metadata: Metadata) -> bool:  # noqa: A002  the field's own word
        """Make the row of a job whose run waits for its turn; return False where there is one already."""
        values = {"kind": kind, "type": type, "metadata": to_json(metadata)}
        return self._changed("announcing a job", "announce", job_id=job_id, **values)

    def open(
        self,
        job_id: str,
        kind: str,
        type: str,  # noqa: A002  the field's own word
        metadata: Metadata | None = None,
        *,
        at: datetime | None = None,
    ) -> bool:
        """Make the job's row, pending, or open it again; return False where it is completed already."""
        values = {"kind": kind, "type": type, "at": at, "metadata": to_json(metadata or {})}
        return self._changed("opening a job", "open", job_id=job_id, **values)

    def start(self, job_id: str, metadata: Metadata | None = None, *, at: datetime | None = None) -> bool:
        """Say that the job runs; return False where it is not open."""
        return self._changed("starting a job", "start", job_id=job_id, at=at, metadata=to_json(metadata or {}))

    def note(self, job_id: str, metadata: Metadata) -> bool:
        """Merge into the job's metadata; return False where there is no such job."""
        return self._changed("noting a job's metadata", "note", job_id=job_id, metadata=to_json(metadata))

    def close(
        self,
        job_id: str,
        status: str,
        *,
        document: dict[str, Any] | None = None,
        error_message: str | None = None,
        metadata: Metadata | None = None,
        at: datetime | None = None,
    ) -> bool:
        """End the job; return False, with nothing changed, where it has ended already or is not there."""
        return self._changed(
            "closing a job",
            "close",
            job_id=job_id,
            status=status,
            document=None if document is None else to_json(document),
            error_message=to_text(error_message),
            metadata=to_json(metadata or {}),
            at=at,
        )

    def find(self, job_id: str) -> MaintenanceRecord | None:
        """Find a job."""
        return next(iter(self._found("looking up a job", "get", job_id=job_id)), None)

    def open_work(self) -> list[MaintenanceRecord]:
        """List jobs that have not ended, oldest first."""
        return self._found("listing open jobs", "open_work")

    def cleanup(self, days: int, failed_days: int) -> int:
        """Delete rows of work that ended so many days ago; return how many."""
        return len(self._database.rows("cleaning up", self._asked["cleanup"], days=days, failed_days=failed_days))

    def _found(self, doing: str, query: str, **parameters: Any) -> list[MaintenanceRecord]:
        rows = self._database.rows(doing, self._asked[query], **parameters)
        return [MaintenanceRecord(**from_row(row._asdict())) for row in rows]

    def _changed(self, doing: str, query: str, **parameters: Any) -> bool:
        return bool(self._database.rows(doing, self._asked[query], **parameters))

    def list(
        self,
        kind: str | None = None,
        *,
        type: str | None = None,  # noqa: A002  the field's own word
        status: str | None = None,
        since: datetime | None = None,
        limit: int = 100,
        before: tuple[datetime, str] | None = None,
    ) -> list[MaintenanceRecord]:
        """List jobs, of a kind or of all, the newest first, without their documents; a page begins after `before`."""
        before_at, before_id = before or (None, "")
        filters = {"kind": kind, "type": type, "status": status, "since": since, "limit": limit}
        return self._found("listing jobs", "list", before_at=before_at, before_id=before_id, **filters)
