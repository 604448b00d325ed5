"""A clean-up of one repository: judge, write the plan down, forget exactly what it names, and delete what nobody needs then.

Each backup is looked at again right before it is forgotten; what is not any more as it was judged stays until the next clean-up.
Whenever this dies nothing is lost, and the next one plans afresh. Of two at once the second steps back.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from holdfast.errors import BusyError, HoldfastError, LeaseLostError, NotFoundError, RefusedError, UnreachableError
from holdfast.history import History
from holdfast.repository import BackupSummary, Lease, PruneReport, Repository, canonical
from holdfast.repository.manifest import HOLDFAST_VERSION
from holdfast.retention import Attempt, Judged, KnownBackup, Refusal, Rules, Verdict, held_back
from holdfast.slip import sudden
from holdfast.turn import require_first

PURPOSE = "cleanup"
Json = dict[str, Any]
Look = Callable[[], Attempt]
"""Makes what tells of the newest attempts, from what the catalog knows now."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class How:
    """How to clean up: by which rules, and for which job."""

    job_id: str
    rules: Rules
    look: Look
    grace_seconds: float = 86400
    wait_seconds: float = 0
    """For how long a prune waits for whoever else is at work."""
    at_once: bool = False
    """Whether somebody has said that even most of the good backups may go in one clean-up."""
    by_clock_of: Repository | None = None
    """Of a replica, its primary: where its clock is ahead of the primary's, that one's counts."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a clean-up is about to do, and by which time it was judged.

    `freeable_bytes` is what a prune would then delete; None where `unprunable` says why nobody can know.
    """

    at: datetime
    judged: Judged
    refused: list[Refusal]
    freeable_bytes: int | None
    unprunable: str | None = None
    waiting: tuple[Refusal, ...] = ()
    """Of what is refused, what only waits because so much would go (see `slip`)."""

    @property
    def doomed(self) -> Judged:
        """Those that go, the oldest first, as they are forgotten."""
        return [verdict for verdict in reversed(self.judged) if verdict.goes]

    @property
    def kept(self) -> Judged:
        return [verdict for verdict in self.judged if not verdict.goes]

    def pillars(self, doomed: KnownBackup) -> list[KnownBackup]:
        """Return the good backups because of which another may go; a damaged one may be of any source."""
        return [
            verdict.backup
            for verdict in self.kept
            if verdict.is_pillar and verdict.backup.type == doomed.type and doomed.source in (None, verdict.backup.source)
        ]


@dataclass(slots=True)
class Cleanup:
    """A clean-up on its way: `plan`, `write_plan` and `forget` under a lease (see `turn`), then `prune` and `conclude`."""

    history: History
    how: How
    planned: Plan | None = None
    forgotten: list[KnownBackup] = field(default_factory=list)
    spared: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    pruned: PruneReport | None = None
    put_off: str | None = None
    _written: str | None = None

    @property
    def repository(self) -> Repository:
        return self.history.repository

    @property
    def the_plan(self) -> Plan:
        if self.planned is None:
            raise ValueError("there is no plan yet")
        return self.planned

    @property
    def freed_bytes(self) -> int:
        return self.pruned.bytes_deleted if self.pruned is not None else 0

    @property
    def chunks_deleted(self) -> int:
        return self.pruned.chunks_deleted if self.pruned is not None else 0

    def run(self, *, dry_run: bool = False) -> Cleanup:
        """Do all steps. Raises BusyError where another clean-up is at work, and what the storage raises."""
        if dry_run:
            self.plan()
            return self
        with self.turn() as lease:
            self.plan()
            self.write_plan()
            self.forget(lease)
        self.prune()
        self.conclude()
        return self

    @contextmanager
    def turn(self) -> Iterator[Lease]:
        """Hold the lease of clean-ups. Raises BusyError where an earlier clean-up is at work."""
        with self.repository.lease(PURPOSE) as lease:
            require_first(self.repository, lease)
            yield lease

    def plan(self) -> Plan:
        """Judge every backup by the storage's clock, and find out what a prune would free afterwards. Writes nothing."""
        now, found = self._now(), self.history.summaries()
        judged, refused = self.history.judged(self.how.rules, now, self.how.look(), found)
        waiting = [] if self.how.at_once else sudden(judged, self.how.rules, self.repository.cleanups, now)
        judged = [held_back(verdict, waiting) for verdict in judged]
        doomed = [verdict.backup.id for verdict in judged if verdict.goes]
        freeable, unprunable = self._freeable(found, doomed)
        self.planned = Plan(now, judged, [*refused, *waiting], freeable, unprunable, tuple(waiting))
        return self.planned

    def write_plan(self) -> None:
        """Write the plan into the repository, durably: only then anything of it may be done."""
        self._written = self.repository.cleanups.put_plan(_plan_record(self.the_plan, self.how), self.the_plan.at)
        self.problems += [f"of the type {one.type} nothing goes: {one.why}" for one in self.the_plan.waiting]

    def forget(self, lease: Lease, on_progress: Callable[[int, int], None] | None = None) -> None:
        """Forget what the plan names, one after the other; may be called again to go on where it stopped.

        Raises LeaseLostError, StorageUnreachableError.
        """
        if self._written is None:
            raise ValueError("the plan was not written down yet")
        doomed = self.the_plan.doomed
        settled = {one.id for one in self.forgotten} | set(self.spared)
        for done, verdict in enumerate(doomed, 1):
            if verdict.backup.id not in settled:
                lease.check()
                self._forget(verdict.backup)
            if on_progress is not None:
                on_progress(done, len(doomed))

    def prune(self) -> None:
        """Delete the chunks that no backup needs, and pins that ended long ago. Who is at work is not waited for long."""
        try:
            self.pruned = self.repository.prune(grace_seconds=self.how.grace_seconds, wait_seconds=self.how.wait_seconds)
            self.repository.tidy_pins()
        except BusyError as error:
            self.put_off = error.what_and_why
            _log.warning("What nobody needs is deleted by the next clean-up: %s", self.put_off)
        except RefusedError as error:
            self.problems.append(error.what_and_why)

    def conclude(self) -> None:
        """Write down what was done, beside the plan."""
        if self._written is not None:
            self.repository.cleanups.put_done(self._written, self._done_record())

    def _now(self) -> datetime:
        primary = self.how.by_clock_of
        return self.repository.now if primary is None else min(self.repository.now, primary.now)

    def _freeable(self, found: list[BackupSummary], doomed: list[str]) -> tuple[int | None, str | None]:
        grace_seconds = self.how.grace_seconds
        try:
            report = self.repository.prune(grace_seconds=grace_seconds, dry_run=True, without=doomed, backups=found)
        except (RefusedError, BusyError) as error:
            return None, error.what_and_why
        return report.bytes_deleted, None

    def _forget(self, backup: KnownBackup) -> None:
        changed = self._changed(backup)
        if changed is not None:
            self._spare(backup, changed)
            return
        try:
            self.repository.forget(backup.id)
        except (NotFoundError, RefusedError, BusyError) as error:
            self._spare(backup, error.what_and_why)
        except (LeaseLostError, UnreachableError):
            raise
        except HoldfastError as error:
            self.problems.append(f"{backup.id}: {error.what_and_why}")
            self._spare(backup, error.what_and_why)
        else:
            self.forgotten.append(backup)
            _log.info("%s was forgotten", backup.id)

    def _spare(self, backup: KnownBackup, why: str) -> None:
        self.spared[backup.id] = why
        _log.warning("%s is not forgotten now: %s", backup.id, why)

    def _changed(self, backup: KnownBackup) -> str | None:
        """Tell what is not any more as it was when the backup was judged."""
        attempt = self.how.look()
        failed = attempt(backup.type, None) or (attempt(backup.type, backup.source) if backup.source is not None else None)
        if failed is not None:
            return failed
        now = self.history.backup(backup)
        if now is None:
            return "it is gone already"
        if now.pinned is not None:
            return f"it is {now.pinned}"
        if (now.checksum, now.level, now.damaged) != (backup.checksum, backup.level, backup.damaged):
            return "it is not any more as it was when it was judged"
        for pillar in self.the_plan.pillars(backup):
            still = self.history.backup(pillar)
            if still is None or not still.good or (pillar.level == "proven" and still.level != "proven"):
                return f"{pillar.id}, because of which it might go, is not any more as it was"
        return None

    def _done_record(self) -> Json:
        return {
            "schema": 1,
            "job_id": self.how.job_id,
            "at": canonical.time_text(self.repository.now),
            "forgotten": [one.id for one in self.forgotten],
            "spared": [{"backup_id": backup_id, "why": why} for backup_id, why in self.spared.items()],
            "freed_bytes": self.freed_bytes,
            "chunks_deleted": self.chunks_deleted,
            "stored_bytes": self.pruned.bytes_kept if self.pruned is not None else None,
            "problems": [*self.problems, *([self.put_off] if self.put_off else [])],
        }


def _plan_record(plan: Plan, how: How) -> Json:
    return {
        "schema": 1,
        "job_id": how.job_id,
        "host": socket.gethostname(),
        "holdfast_version": HOLDFAST_VERSION,
        "at": canonical.time_text(plan.at),
        "rules": how.rules.to_json(),
        "doomed": [{**_of(verdict), "why": verdict.why} for verdict in plan.doomed],
        "kept": [{**_of(verdict), "why": [str(reason) for reason in verdict.keeps]} for verdict in plan.kept],
        "refused": [{"type": one.type, "source": one.source, "why": one.why} for one in plan.refused],
        "freeable_bytes": plan.freeable_bytes,
    }


def _of(verdict: Verdict) -> Json:
    one = verdict.backup
    return {
        "backup_id": one.id,
        "type": one.type,
        "snapshot_at": canonical.time_text(one.at) if one.damaged is None else None,
        "checksum": one.checksum,
        "stored_bytes": one.stored_bytes,
    }
