"""The catalog: rows of backups and restores through their whole life, kept configuration, statistics.

A job is opened pending, started, and closed exactly once, by its own run or by another that found it dead. Who comes second is
told so and changes nothing. The SQL is in sql/queries/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import text

import sql
from holdfast.catalog.database import Database
from holdfast.catalog.records import (
    END_STATUSES,
    JobRecord,
    MaintenanceRecord,
    Metadata,
    Record,
    RestoreRecord,
    from_row,
    to_json,
    to_text,
)
from holdfast.errors import SettingsError

if TYPE_CHECKING:
    from pydantic import SecretStr

    from holdfast.catalog.audit_log import AuditLog
    from holdfast.catalog.executions import Executions
    from holdfast.catalog.maintenance import Maintenance
    from holdfast.catalog.plans import Plans
    from holdfast.catalog.requests import Requests
    from holdfast.postgres.connection import DatabaseUrl

PRESUMED_DEAD = "presumedDead"
Page = datetime | tuple[datetime, str] | JobRecord | RestoreRecord | None
"""Where a page begins: after this record, or after one of this time and id."""
Ending = tuple[str, str]
"""How a job ended that did not close its own row: the status, and why."""


class Catalog:
    """The backup tables of one database. Every method raises DatabaseUnreachableError where that does not answer."""

    def __init__(self, url: str | SecretStr | DatabaseUrl, *, connections: int = 2) -> None:
        self._database = Database(url, connections=connections)
        self._jobs = sql.queries("backup_jobs")
        self._restores = sql.queries("restore_jobs")
        self._config = sql.queries("backup_config")
        self._statistics = sql.queries("statistics")

    def migrate(self) -> None:
        """Bring the tables and functions up to date; harmless at any time, from any number of processes."""
        from holdfast.catalog.migrations import migrate

        migrate(self._database)

    def missing_migrations(self) -> list[str]:
        """Name the migrations that have not run here, the oldest first; all of them where there is no catalog yet."""
        from holdfast.catalog.migrations import missing

        return missing(self._database)

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Catalog({self._database.url.redacted!r})"

    # Backup jobs

    def open_job(
        self,
        job_id: str,
        type: str,  # noqa: A002  the field's own word
        metadata: Metadata | None = None,
        *,
        at: datetime | None = None,
    ) -> bool:
        """Make the job's row, pending, or open it again; return False where it is completed already."""
        values = {"job_id": job_id, "type": type, "at": at, "metadata": to_json(metadata or {})}
        return self._changed("opening a job", self._jobs["open"], **values)

    def start_job(self, job_id: str, metadata: Metadata | None = None, *, at: datetime | None = None) -> bool:
        """Say that the job runs; return False where it is not open."""
        return self._changed("starting a job", self._jobs["start"], job_id=job_id, at=at, metadata=to_json(metadata or {}))

    def note_job(self, job_id: str, metadata: Metadata) -> bool:
        """Merge into the job's metadata, open or ended; return False where there is no such job."""
        return self._changed("noting a job's metadata", self._jobs["note"], job_id=job_id, metadata=to_json(metadata))

    def close_job(
        self,
        job_id: str,
        status: str,
        *,
        size_bytes: int | None = None,
        checksum: str | None = None,
        location: str | None = None,
        error_message: str | None = None,
        metadata: Metadata | None = None,
        at: datetime | None = None,
    ) -> bool:
        """End the job; return False, with nothing changed, where it has ended already or is not there."""
        return self._changed(
            "closing a job",
            self._jobs["close"],
            job_id=job_id,
            status=_end(status),
            size_bytes=size_bytes,
            checksum=checksum,
            location=location,
            error_message=to_text(error_message),
            metadata=to_json(metadata or {}),
            at=at,
        )

    def job(self, job_id: str) -> JobRecord | None:
        """Find a job."""
        return next((JobRecord(**row) for row in self._rows("looking up a job", self._jobs["get"], job_id=job_id)), None)

    def jobs(
        self,
        type: str | None = None,  # noqa: A002  the field's own word
        status: str | None = None,
        since: datetime | None = None,
        limit: int = 100,
        before: Page = None,
    ) -> list[JobRecord]:
        """List jobs, newest first. For the next page give `before` the last record of this one."""
        found = self._rows(
            "listing jobs", self._jobs["list"], type=type, status=status, since=since, limit=limit, **_page(before)
        )
        return [JobRecord(**row) for row in found]

    # Restores

    def open_restore(
        self,
        job_id: str,
        backup_id: str,
        type: str,  # noqa: A002  the field's own word
        metadata: Metadata | None = None,
        *,
        at: datetime | None = None,
    ) -> bool:
        """Make the restore's row, pending, or open it again; return False where it is completed already."""
        values = {"job_id": job_id, "backup_id": backup_id, "type": type, "at": at, "metadata": to_json(metadata or {})}
        return self._changed("opening a restore", self._restores["open"], **values)

    def start_restore(
        self,
        job_id: str,
        metadata: Metadata | None = None,
        *,
        backup_id: str | None = None,
        at: datetime | None = None,
    ) -> bool:
        """Say that the restore runs, and of which backup where that was not known before; return False where it is not open."""
        values = {"job_id": job_id, "backup_id": backup_id, "at": at, "metadata": to_json(metadata or {})}
        return self._changed("starting a restore", self._restores["start"], **values)

    def note_restore(self, job_id: str, metadata: Metadata) -> bool:
        """Merge into the restore's metadata; return False where there is no such restore."""
        return self._changed("noting a restore's metadata", self._restores["note"], job_id=job_id, metadata=to_json(metadata))

    def close_restore(
        self,
        job_id: str,
        status: str,
        *,
        error_message: str | None = None,
        metadata: Metadata | None = None,
        at: datetime | None = None,
    ) -> bool:
        """End the restore; return False, with nothing changed, where it has ended already or is not there."""
        values = {"error_message": to_text(error_message), "metadata": to_json(metadata or {}), "at": at}
        return self._changed("closing a restore", self._restores["close"], job_id=job_id, status=_end(status), **values)

    def restore(self, job_id: str) -> RestoreRecord | None:
        """Find a restore."""
        found = self._rows("looking up a restore", self._restores["get"], job_id=job_id)
        return next((RestoreRecord(**row) for row in found), None)

    def restores(
        self,
        type: str | None = None,  # noqa: A002  the field's own word
        status: str | None = None,
        since: datetime | None = None,
        limit: int = 100,
        before: Page = None,
        *,
        backup_id: str | None = None,
    ) -> list[RestoreRecord]:
        """List restores, newest first. For the next page give `before` the last record of this one."""
        filters = {"type": type, "status": status, "since": since, "backup_id": backup_id, "limit": limit, **_page(before)}
        return [RestoreRecord(**row) for row in self._rows("listing restores", self._restores["list"], **filters)]

    # All kinds of jobs

    @property
    def maintenance(self) -> Maintenance:
        """The jobs that the guide has no table for."""
        from holdfast.catalog.maintenance import Maintenance

        return Maintenance(self._database)

    @property
    def requests(self) -> Requests:
        """The requests of the HTTP API that are answered once."""
        from holdfast.catalog.requests import Requests

        return Requests(self._database)

    def ended(self, job_ids: Iterable[str]) -> set[str]:
        """Of these jobs, of whatever kind, name those that have ended."""
        found = self._database.rows("looking for ended jobs", sql.queries("jobs")["ended"], job_ids=list(job_ids))
        return {row.job_id for row in found}

    def announce_job(self, job_id: str, type: str, metadata: Metadata) -> bool:  # noqa: A002  the field's own word
        """Make the row of a backup whose run waits for its turn; return False where there is one already."""
        values = {"type": type, "metadata": to_json(metadata)}
        return self._changed("announcing a job", self._jobs["announce"], job_id=job_id, **values)

    def announce_restore(self, job_id: str, backup_id: str, type: str, metadata: Metadata) -> bool:  # noqa: A002
        """Make the row of a restore whose run waits for its turn; return False where there is one already."""
        values = {"backup_id": backup_id, "type": type, "metadata": to_json(metadata)}
        return self._changed("announcing a restore", self._restores["announce"], job_id=job_id, **values)

    # Runs that died, and what the repository knows

    def open_work(self) -> list[JobRecord | RestoreRecord]:
        """List backups and restores that are pending or running, oldest first."""
        jobs = [JobRecord(**row) for row in self._rows("listing open jobs", self._jobs["open_work"])]
        restores = [RestoreRecord(**row) for row in self._rows("listing open restores", self._restores["open_work"])]
        return sorted([*jobs, *restores], key=lambda record: record.started_at)

    def close_dead(self, is_alive: Callable[[Record], bool], reason: str | Callable[[Record], Ending]) -> list[str]:
        """Close what is open and not alive, as failed or as `reason` says; return the ids that this call closed."""
        ending: Callable[[Record], Ending] = reason if callable(reason) else lambda _: ("failed", reason)
        work = [*self.open_work(), *self.maintenance.open_work()]
        return [one.job_id for one in work if not is_alive(one) and self._close_as_dead(one, *ending(one))]

    def unmirrored(self, job_ids: Iterable[str]) -> list[str]:
        """Of these backups, which the repository holds, name those whose row is missing or wrong."""
        found = self._rows("looking for missing jobs", self._jobs["unmirrored"], job_ids=list(job_ids))
        return [row["job_id"] for row in found]

    def mirror(self, records: Iterable[JobRecord]) -> int:
        """Write the rows of completed backups that have none, or that were wrongly taken for dead; return how many it wrote."""
        with self._database.transaction("mirroring backups") as connection:
            done = [connection.execute(text(self._jobs["mirror"]), _mirrored(record)).first() for record in records]
        return sum(row is not None for row in done)

    # Configuration

    def config(self) -> dict[str, Any]:
        """Read the kept configuration."""
        return {row["config_key"]: row["config_value"] for row in self._rows("reading the configuration", self._config["all"])}

    def set_config(self, key: str, value: Any, description: str | None = None) -> None:
        """Keep a value of the configuration. Never a secret."""
        values = {"config_key": key, "config_value": to_json(value), "description": description}
        self._rows("keeping the configuration", self._config["set"], **values)

    # Recovery plans

    @property
    def plans(self) -> Plans:
        """The recovery plans that are kept here; the guide's function get_disaster_recovery_plans lists them."""
        from holdfast.catalog.plans import Plans

        return Plans(self._database)

    @property
    def executions(self) -> Executions:
        """The executions of recovery plans."""
        from holdfast.catalog.executions import Executions

        return Executions(self._database)

    @property
    def audit(self) -> AuditLog:
        """The lines of the audit log."""
        from holdfast.catalog.audit_log import AuditLog

        return AuditLog(self._database)

    # The guide's other functions; sql/functions/ describes their columns

    def backup_statistics(self, days_back: int | None = 30) -> list[dict[str, Any]]:
        """Sum up the backups of the last days, or of all time, one row a type."""
        return self._rows("reading statistics", self._statistics["backup_statistics"], days_back=days_back)

    def restore_statistics(self, days_back: int | None = 30) -> list[dict[str, Any]]:
        """Sum up the restores of the last days, or of all time, one row a type."""
        return self._rows("reading statistics", self._statistics["restore_statistics"], days_back=days_back)

    def dashboard(self) -> list[dict[str, Any]]:
        """Say how things stand now, one row a type."""
        return self._rows("reading the dashboard", self._statistics["dashboard"])

    def cleanup(
        self,
        backup_days: int | None = 90,
        restore_days: int | None = 90,
        execution_days: int | None = 180,
        failed_days: int | None = 30,
    ) -> dict[str, int]:
        """Delete rows of work that ended so many days ago (None: none of that kind); return how many of each kind."""
        days = {"backup_days": backup_days, "restore_days": restore_days, "execution_days": execution_days}
        days["failed_days"] = failed_days
        for name, value in days.items():
            if value is not None and value < 0:
                raise SettingsError(f"{name} is {value}", reason="it must be 0 or more")
        return self._rows("cleaning up", self._statistics["cleanup"], **days)[0]

    def _rows(self, doing: str, query: str, **parameters: Any) -> list[dict[str, Any]]:
        return [from_row(row._asdict()) for row in self._database.rows(doing, query, **parameters)]

    def _changed(self, doing: str, query: str, **parameters: Any) -> bool:
        return bool(self._database.rows(doing, query, **parameters))

    def _close_as_dead(self, record: Record, status: str, reason: str) -> bool:
        # Marked, for the run may have died between making its backup and closing its row: then mirroring puts the row right.
        marked = {PRESUMED_DEAD: True}
        if isinstance(record, JobRecord):
            return self.close_job(record.job_id, status, error_message=reason, metadata=marked)
        if isinstance(record, MaintenanceRecord):
            return self.maintenance.close(record.job_id, status, error_message=reason, metadata=marked)
        return self.close_restore(record.job_id, status, error_message=reason, metadata=marked)


def _end(status: str) -> str:
    if status not in END_STATUSES:
        raise ValueError(f"{status!r} does not end a job; {', '.join(END_STATUSES)} do")
    return status


def _page(before: Page) -> dict[str, Any]:
    """Say where a page begins; a time alone stands before every job of that very moment."""
    if before is None or isinstance(before, datetime):
        return {"before_at": before, "before_id": ""}
    if isinstance(before, tuple):
        return {"before_at": before[0], "before_id": before[1]}
    return {"before_at": before.started_at, "before_id": before.job_id}


def _mirrored(record: JobRecord) -> dict[str, Any]:
    return {
        "job_id": record.job_id,
        "type": record.type,
        "started_at": record.started_at,
        "completed_at": record.completed_at,
        "size_bytes": record.size_bytes,
        "checksum": record.checksum,
        "location": record.location,
        "metadata": to_json(record.metadata),
    }
