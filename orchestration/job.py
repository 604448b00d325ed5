"""One run of a flow as others see it: its row in the catalog, its events, its artifacts and the document that it ends with.

A job is closed exactly once, and while it still holds the lease that its row names: whoever finds that gone and the row open
knows that the process died. `completed`, `failed` and `cancelled` are told apart here and nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TypeVar

from prefect.exceptions import CancelledRun
from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from holdfast.catalog.mirror import Mirror
from holdfast.errors import (
    CheckFailedError,
    CleanupFailedError,
    DrillFailedError,
    NotFoundError,
    RecoveryFailedError,
    RefusedError,
    ReplicationFailedError,
    UnreachableError,
    VerificationFailedError,
)
from holdfast.jobs import checked_job_id
from holdfast.opening import open_catalog
from holdfast.postgres.restore import DatabaseRestore
from holdfast.process_identity import this_process
from holdfast.repository import Lease, Repository
from holdfast.repository.lease import Scope
from holdfast.settings import Settings, load_settings
from orchestration import artifacts, events
from orchestration.job_record import JobEntries
from orchestration.kinds import Kind
from orchestration.masking import hide_all_of, masked
from orchestration.progress import Progress
from orchestration.rows import BackupRow, End, Json, MaintenanceRow, NoRow, RestoreRow, Row
from orchestration.run_names import id_for_this_run
from orchestration.starting import begun

Found = TypeVar(
    "Found",
    CheckFailedError,
    CleanupFailedError,
    DrillFailedError,
    RecoveryFailedError,
    ReplicationFailedError,
    VerificationFailedError,
)
_log = logging.getLogger(__name__)
_QUIET = ("monitor",)
"""What runs so often that its bars, summaries and events would pile up: it leaves none."""


class Job:
    """A job on its way: a context manager inside a flow.

    What is of all backups, whatever their type (a replication, a clean-up), has its kind as its type.
    """

    def __init__(
        self,
        kind: Kind,
        type: str,  # noqa: A002  the field's own word
        job_id: str | None = None,
        *,
        backup_id: str | None = None,
        recorded: bool = True,
    ) -> None:
        base = load_settings()
        self.mirror = Mirror(lambda: open_catalog(base))
        self.settings = in_force(base)
        hide_all_of(self.settings)
        self.kind: Kind = kind
        self.type = type
        self.id = checked_job_id(id_for_this_run(kind, job_id))
        self.started_at = datetime.now(UTC)
        self.artifact = kind if type == kind else f"{type}-{kind}"
        self.progress = Progress(f"{self.artifact}-progress", f"{kind} {self.id}")
        self.log = get_run_logger()
        self._row = self._new_row(backup_id, recorded=recorded)
        self.only_looks = not recorded and kind not in _QUIET
        """Whether it changes nothing, so that things stand afterwards as they did."""
        self._recorded = recorded and kind not in _QUIET
        self._record = None if kind in _QUIET else JobEntries(self.settings, kind, type, self.id, backup_id)
        self._closed = False
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as opened:
            opened.callback(self.mirror.close)
            if not self._row.open({**this_process(), "flowRunId": flow_run.id}):
                raise RefusedError(f"there is a completed job {self.id!r} already", next_step="Give another id, or none")
            if self._record:
                self._record.started()
            self._emit("started", self.document("running"))
            self.log.info("%s %s of type %s has begun", self.kind, self.id, self.type)
            if self.kind not in _QUIET:
                opened.enter_context(self.progress)
            self._open = opened.pop_all()
        begun()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self.give_up(error)
        finally:
            self._open.__exit__(kind, error, trace)

    @contextlib.contextmanager
    def leased(
        self,
        repository: Repository,
        purpose: str,
        *,
        backup_id: str | None = None,
        wait_seconds: float = 0,
        scope: Scope = "data",
    ) -> Iterator[Lease]:
        """Hold a shared lease and be `running` meanwhile; whatever ends the work closes the job before the lease is given back.

        With the lease gone and the row still open, everybody knows that the work is dead. So it spans the job to its end, and
        what else the job needs for a part of its way is another lease, which no row names. `backup_id` is what `latest` meant.
        """
        ttl_seconds = self.settings.lease_ttl_seconds
        with repository.lease(purpose, ttl_seconds=ttl_seconds, wait_seconds=wait_seconds, scope=scope) as lease:
            known = {"leaseId": lease.id, "repositoryId": repository.id, "leasedIn": repository.location}
            self._row.start(known, backup_id)
            try:
                yield lease
            except BaseException as error:
                self.give_up(error)
                raise

    def note(self, **metadata: Any) -> None:
        """Add to the row's metadata; names are camelCase."""
        self._row.note(metadata)

    def follow(self, restore: DatabaseRestore) -> None:
        """Show the progress of a restore as this job's."""

        def told(phase: str, done_bytes: int, expected_bytes: int) -> None:
            del phase
            self.progress.expect(expected_bytes)
            so_far(done_bytes)

        so_far = self.progress.stream("restore")
        restore.on_progress = told

    def completed(self, document: Json, *, metadata: Json | None = None, **figures: Any) -> Json:
        """Close the job as completed and return the document that the flow ends with."""
        ended = {**self.document("completed"), **document}
        self._close(End("completed", metadata=metadata or {}, document=ended, figures=figures))
        self._emit("completed", ended)
        self.log.info("%s %s is completed", self.kind, self.id)
        return ended

    def failure(self, error: Found, document: Json) -> Found:
        """Give the error that ends this job the document of what was done and found all the same."""
        error.found = {**self.document("failed"), **document, "error": str(error)}
        return error

    def set_down(self, what: str, document: Json) -> None:
        """End the run, and not the job: it goes on in a run to come, or is another's; `what` names the event of that."""
        self._closed = True
        self._emit(what, {**self.document("pending"), **document})
        self.log.info("%s %s: %s", self.kind, self.id, what)

    def document(self, status: str) -> Json:
        """Describe the job as the commands' JSON does, as far as it is known without its outcome."""
        ended = status not in ("pending", "running")
        return {
            "jobId": self.id,
            "type": self.type,
            "status": status,
            "sizeBytes": None,
            "storedBytes": None,
            "checksum": None,
            "location": None,
            "startedAt": time_text(self.started_at),
            "completedAt": time_text(datetime.now(UTC)) if ended else None,
            "verifiedLevel": None,
            "snapshotAt": None,
            "error": None,
        }

    def give_up(self, error: BaseException | None) -> None:
        """Close a job that was not completed; nothing to do where it was closed before."""
        if self._closed:
            return
        status, reason = outcome(error)
        found: Json = getattr(error, "found", None) or {}
        ended = {**self.document(status), **found, "error": reason, "code": getattr(error, "code", None)}
        self._close(End(status, reason, document=ended), error)
        self._emit(status, ended)
        if error is not None and not found and self.kind not in _QUIET:
            title = f"{self.kind.capitalize()} {self.id} is {status}"
            artifacts.summary(f"{self.artifact}-summary", title, {"Why": reason, "Began": time_text(self.started_at)})
        self.log.error("%s %s is %s: %s", self.kind, self.id, status, reason)

    def _emit(self, what: str, payload: Json) -> None:
        if self._recorded:
            events.emit(f"{self.kind}.{what}", job_id=self.id, type=self.type, payload=payload, target=self.settings.target)

    def _close(self, end: End, error: BaseException | None = None) -> None:
        self._closed = True
        took = (datetime.now(UTC) - self.started_at).total_seconds()
        self._row.close(replace(end, metadata={"durationSeconds": round(took, 3), **end.metadata}))
        if self._record:
            self._record.ended(end.status, error)

    def _new_row(self, backup_id: str | None, *, recorded: bool) -> Row:
        if self.kind in _QUIET or (self.kind == "recovery" and recorded):
            return NoRow()
        if self.kind == "backup" and recorded:
            return BackupRow(self.mirror, self.id, self.type)
        if self.kind == "restore" and recorded:
            return RestoreRow(self.mirror, self.id, backup_id or "latest", self.type)
        return MaintenanceRow(self.mirror, self.id, self.kind, self.type)


def outcome(error: BaseException | None) -> tuple[str, str]:
    """Tell how a job ended that was not completed, and why."""
    if error is None:
        return "failed", "it ended without a result"
    if isinstance(error, asyncio.CancelledError):  # what Prefect's time limit for a flow raises
        return "failed", "it did not end within its time limit and was stopped"
    if not isinstance(error, Exception) or isinstance(error, CancelledRun):
        return "cancelled", "it was cancelled, or its process was told to end"
    return "failed", masked(str(error) or type(error).__name__)


def in_force(base: Settings) -> Settings:
    """Read the settings again with what the catalog has kept, where it answers."""
    try:
        with open_catalog(base) as catalog:
            return load_settings(catalog)
    except (UnreachableError, NotFoundError) as error:
        _log.warning("the stored configuration can't be read now, so it has no effect: %s", error)
        return base


def time_text(moment: datetime) -> str:
    """Write a time as the commands' JSON does: ISO 8601, UTC, `Z`."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
