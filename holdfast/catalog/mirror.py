"""A job's rows when the catalog may be down, and rows made from the repository afterwards.

The catalog mirrors; it never decides. So nothing that goes wrong with it fails a job: what could not be written waits, in order
and with its time, and is written when the catalog answers again, in this run or from the repository by a later one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

from holdfast.catalog.catalog import Catalog, Ending
from holdfast.catalog.records import JobRecord, Metadata, Record
from holdfast.errors import HoldfastError, WorkFailedError

if TYPE_CHECKING:
    from holdfast.recovery.execution import Execution
    from holdfast.recovery.untested import PlanTest
    from holdfast.repository import BackupSummary, Repository

_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")
_NOTES: dict[str, Callable[[Any, Any], Any]] = {
    "note_job": lambda earlier, later: {**earlier, **later},
    "note_restore": lambda earlier, later: {**earlier, **later},
    "maintenance.note": lambda earlier, later: {**earlier, **later},
    "executions.note": lambda _, later: later,
}
"""Calls that add to a row: how two of them that wait become one."""


@dataclass(frozen=True, slots=True)
class MissedCall:
    """A call that the catalog has not taken yet; `at` is when it was made."""

    name: str
    job_id: str
    arguments: tuple[Any, ...]
    named: dict[str, Any]
    at: datetime


class Mirror:
    """The rows of a running job, written when the catalog can be reached. Safe to use from several threads."""

    def __init__(self, open_catalog: Callable[[], Catalog], *, retry_seconds: float = 30) -> None:
        self._open_catalog = open_catalog
        self._retry_seconds = retry_seconds
        self._catalog: Catalog | None = None
        self._waiting: list[MissedCall] = []
        self._down_until = 0.0
        self._warned = False
        self._lock = threading.Lock()

    @property
    def missed(self) -> list[MissedCall]:
        """What the catalog has not taken yet, in order."""
        with self._lock:
            return list(self._waiting)

    # The same calls as the catalog's. True means: written, or waiting to be.

    def open_job(self, job_id: str, type: str, metadata: Metadata | None = None) -> bool:  # noqa: A002  the field's own word
        return self._tell("open_job", job_id, type, metadata or {})

    def start_job(self, job_id: str, metadata: Metadata | None = None) -> bool:
        return self._tell("start_job", job_id, metadata or {})

    def note_job(self, job_id: str, metadata: Metadata) -> bool:
        return self._tell("note_job", job_id, metadata)

    def close_job(self, job_id: str, status: str, **named: Any) -> bool:
        return self._tell("close_job", job_id, status, **named)

    def open_restore(self, job_id: str, backup_id: str, type: str, metadata: Metadata | None = None) -> bool:  # noqa: A002
        return self._tell("open_restore", job_id, backup_id, type, metadata or {})

    def start_restore(self, job_id: str, metadata: Metadata | None = None, *, backup_id: str | None = None) -> bool:
        return self._tell("start_restore", job_id, metadata or {}, backup_id=backup_id)

    def note_restore(self, job_id: str, metadata: Metadata) -> bool:
        return self._tell("note_restore", job_id, metadata)

    def close_restore(self, job_id: str, status: str, **named: Any) -> bool:
        return self._tell("close_restore", job_id, status, **named)

    def open_maintenance(self, job_id: str, kind: str, type: str, metadata: Metadata | None = None) -> bool:  # noqa: A002
        return self._tell("maintenance.open", job_id, kind, type, metadata or {})

    def start_maintenance(self, job_id: str, metadata: Metadata | None = None) -> bool:
        return self._tell("maintenance.start", job_id, metadata or {})

    def note_maintenance(self, job_id: str, metadata: Metadata) -> bool:
        return self._tell("maintenance.note", job_id, metadata)

    def close_maintenance(self, job_id: str, status: str, **named: Any) -> bool:
        return self._tell("maintenance.close", job_id, status, **named)

    # Executions of recovery plans: each call carries the whole record, so that of several that wait only the last is written.

    def open_execution(self, execution: Execution) -> bool:
        return self._tell("executions.open", execution.id, execution)

    def note_execution(self, execution: Execution) -> bool:
        return self._tell("executions.note", execution.id, execution)

    def close_execution(self, execution: Execution) -> bool:
        return self._tell("executions.close", execution.id, execution)

    def find_execution(self, execution_id: str) -> Execution | None:
        """Find an execution, where the catalog answers."""
        return self._ask(lambda catalog: catalog.executions.find(execution_id), None)

    def execution_of_flow_run(self, flow_run_id: str) -> Execution | None:
        """Find the newest execution of a flow run, where the catalog answers."""
        return self._ask(lambda catalog: catalog.executions.of_flow_run(flow_run_id), None)

    def executions(self, limit: int) -> list[Execution]:
        """List executions, the newest first, where the catalog answers."""
        return self._ask(lambda catalog: catalog.executions.list(limit=limit), [])

    def open_executions(self) -> list[Execution]:
        """List executions that have not ended, where the catalog answers."""
        return self._ask(lambda catalog: catalog.executions.open_work(), [])

    def close_dead(self, is_alive: Callable[[Record], bool], reason: str | Callable[[Record], Ending]) -> list[str]:
        """Close the rows of runs that died, where the catalog answers; return the ids that this call closed."""
        return self._ask(lambda catalog: catalog.close_dead(is_alive, reason), [])

    def catch_up(self, repository: Repository) -> int:
        """Write the rows that earlier runs could not, where the catalog answers; return how many."""
        return self._ask(lambda catalog: mirror_backups(catalog, repository), 0)

    def metadata(self, job_ids: Iterable[str]) -> dict[str, Metadata]:
        """Return what the catalog has noted of these backups, where it answers and knows them."""
        wanted = list(job_ids)

        def look_up(catalog: Catalog) -> dict[str, Metadata]:
            return {job_id: row.metadata for job_id in wanted if (row := catalog.job(job_id)) is not None}

        return self._ask(look_up, {})

    def plan_tests(self, allowed_days: float) -> tuple[PlanTest, ...]:
        """Return when each recovery plan was tested last, where the catalog answers."""
        return self._ask(lambda catalog: catalog.plans.tests(allowed_days), ())

    def dashboard(self) -> list[dict[str, Any]] | None:
        """Return how things stand by the rows, one row a type; None where the catalog does not answer."""
        return self._ask(lambda catalog: catalog.dashboard(), None)

    def close(self) -> None:
        """Try once more to write what waits, then close the catalog."""
        with self._lock:
            if self._waiting:
                self._down_until = 0.0
                self._write(None)
            if self._catalog is not None:
                self._catalog.close()
                self._catalog = None

    def _tell(self, name: str, job_id: str, *arguments: Any, **named: Any) -> bool:
        with self._lock:
            call = MissedCall(name, job_id, arguments, named, datetime.now(UTC))
            self._wait_for(call)
            return self._write(call)

    def _ask(self, question: Callable[[Catalog], _Answer], otherwise: _Answer) -> _Answer:
        with self._lock:
            if time.monotonic() < self._down_until:
                return otherwise
            try:
                return question(self._opened())
            except HoldfastError as error:
                self._is_down(error)
                return otherwise

    def _wait_for(self, call: MissedCall) -> None:
        """Queue a call; notes in a row become one, so that a long outage takes no more memory than a short one."""
        last = self._waiting[-1] if self._waiting else None
        if last is not None and (last.name, last.job_id) == (call.name, call.job_id) and call.name in _NOTES:
            self._waiting[-1] = replace(last, arguments=(_NOTES[call.name](last.arguments[0], call.arguments[0]),))
        else:
            self._waiting.append(call)

    def _write(self, fresh: MissedCall | None) -> bool:
        """Write what waits, in order; return what the catalog said of the last call, or True where that has to wait."""
        answer = True
        while self._waiting and time.monotonic() >= self._down_until:
            call = self._waiting[0]
            try:
                answer = _write_one(self._opened(), call, late=call is not fresh)
            except WorkFailedError as error:  # this call can't ever be written
                _log.error("The catalog refused %s of %s: %s", call.name, call.job_id, error)
                answer = False
            except HoldfastError as error:
                self._is_down(error)
                return True
            del self._waiting[0]
        return answer

    def _opened(self) -> Catalog:
        if self._catalog is None:
            self._catalog = self._open_catalog()
        return self._catalog

    def _is_down(self, error: HoldfastError) -> None:
        """Leave the catalog alone for a while: waiting for a time-out at every call would slow the job down."""
        self._down_until = time.monotonic() + self._retry_seconds
        level = logging.DEBUG if self._warned else logging.WARNING
        _log.log(level, "The catalog can't be used now (%s). The work goes on; its row is written later", error)
        self._warned = True


def mirror_backups(catalog: Catalog, repository: Repository) -> int:
    """Write a completed row for each backup that the repository holds and the catalog does not know; return how many."""
    found = {summary.id: summary for summary in repository.backups() if summary.damaged is None}
    return catalog.mirror(_record(repository, found[job_id]) for job_id in catalog.unmirrored(found))


def _write_one(catalog: Catalog, call: MissedCall, *, late: bool) -> bool:
    """Make the call; one that waited brings its own time, the others take the server's."""
    named = dict(call.named)
    method: Callable[..., bool] = attrgetter(call.name)(catalog)
    if call.name.startswith("executions."):  # they bring their own times, and their ids
        return method(*call.arguments, **named)
    if late and call.name not in _NOTES:
        named["at"] = call.at
    return method(call.job_id, *call.arguments, **named)


def _record(repository: Repository, summary: BackupSummary) -> JobRecord:
    manifest = summary.manifest
    metadata = {
        "snapshotAt": manifest.snapshot_at,
        "storedBytes": manifest.stored_bytes,
        "newChunks": manifest.new_chunks,
        "entries": len(manifest.entries),
        "source": manifest.source,
        "host": manifest.host,
        "verifiedLevel": repository.verified_level(manifest.id),
        "durationSeconds": round((manifest.finished_at - manifest.started_at).total_seconds(), 3),
        "repositoryId": repository.id,
        "mirroredAt": datetime.now(UTC),
    }
    return JobRecord(
        job_id=manifest.id,
        type=manifest.type,
        status="completed",
        started_at=manifest.started_at,
        completed_at=manifest.finished_at,
        size_bytes=manifest.size_bytes,
        checksum=manifest.checksum,
        location=f"{repository.location.rstrip('/')}/manifests/{manifest.type}/{manifest.id}",
        metadata=metadata,
    )
