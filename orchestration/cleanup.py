"""What the clean-up flow needs beside its tasks: the lease, the replicas, the rows, and how the outcome is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from holdfast import figures
from holdfast.attempts import Attempts
from holdfast.cleanup import PURPOSE, Cleanup, How
from holdfast.cleanup_document import cleaned_up, not_all_done
from holdfast.errors import HoldfastError
from holdfast.history import History
from holdfast.opening import open_catalog
from holdfast.replica_cleanup import ReplicaOutcome, clean_replica, failed
from holdfast.repository import Lease
from holdfast.retention import Rules
from holdfast.row_cleanup import drop_old_rows
from holdfast.turn import require_first
from orchestration import artifacts
from orchestration.job import Job, time_text
from orchestration.masking import masked
from orchestration.opening import Source, find_replica
from orchestration.rows import Json
from orchestration.tasks import settled

PRUNE_WAIT_SECONDS = 60.0
_SHOWN = 1000
"""Rows of the artifact; those of backups that go come first. The document has all, and the repository's record of the plan."""


class Cleaning:
    """A clean-up on its way: of the primary, then of its replicas, then of the catalog's rows."""

    def __init__(self, job: Job, source: Source, replicas: Sequence[str] | None, *, dry_run: bool, yes: bool = False) -> None:
        settings = job.settings
        self.job = job
        self.dry_run = dry_run
        self.replicas = list(dict.fromkeys(settings.replicas if replicas is None else replicas))
        self.rows: Json | None = None
        self._how = How(
            job.id,
            Rules.of(settings),
            lambda: Attempts(lambda: open_catalog(settings)),
            settings.prune_grace_hours * 3600,
            PRUNE_WAIT_SECONDS,
            at_once=yes,
        )
        self.cleanup = Cleanup(History(source.repository), self._how)
        self._turn: Lease | None = None

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Be the only clean-up at work, to the end; a dry run disturbs nobody. Raises BusyError where another one is."""
        if self.dry_run:
            yield
            return
        repository = self.cleanup.repository
        with self.job.leased(repository, PURPOSE, scope="turn") as lease:
            require_first(repository, lease)
            self._turn = lease
            yield

    @contextmanager
    def deciding(self) -> Iterator[None]:
        """Have nobody delete chunks meanwhile. It ends before the prune, in whose way it would be."""
        if self.dry_run:
            yield
            return
        with self.cleanup.repository.lease(f"{PURPOSE}: forget", ttl_seconds=self.job.settings.lease_ttl_seconds):
            yield

    def forget(self) -> int:
        """Forget what the plan names, and note it in the rows; return how many."""
        if self._turn is None:
            raise ValueError("nothing is forgotten out of turn")
        self.cleanup.forget(self._turn, self.job.progress.parts())
        gone = {"forgottenAt": time_text(datetime.now(UTC)), "forgottenBy": self.job.id}
        for backup in self.cleanup.forgotten:
            self.job.mirror.note_job(backup.id, gone)
        return len(self.cleanup.forgotten)

    def prune(self) -> int:
        """Delete what nobody needs then, and write down what was done; return the bytes that were freed."""
        self._require_turn()
        self.cleanup.prune()
        self.cleanup.conclude()
        return self.cleanup.freed_bytes

    def clean_replica(self, name: str) -> ReplicaOutcome:
        """Apply the rules to one replica. Raises what keeps that from being done."""
        self._require_turn()
        replica = find_replica(name, self.job.settings)
        doomed = [verdict.backup.id for verdict in self.cleanup.the_plan.doomed]
        return clean_replica(replica, self.cleanup.repository, self._how, dry_run=self.dry_run, without=doomed)

    def _require_turn(self) -> None:
        """Raise LeaseLostError where another clean-up may have its turn by now."""
        if self._turn is not None:
            self._turn.check()

    def drop_rows(self) -> None:
        """Delete old rows; a catalog that does not answer is told, and hinders nothing."""
        living = [one.id for one in self.cleanup.repository.backups()]
        try:
            with open_catalog(self.job.settings) as catalog:
                self.rows = dict(drop_old_rows(catalog, living))
        except HoldfastError as error:
            self.rows = {"error": masked(error.what_and_why)}
            self.job.log.warning("No rows were deleted: %s", error.what_and_why)


def completed(work: Cleaning, replicas: Mapping[str, ReplicaOutcome | BaseException]) -> Json:
    """Show what was done, close the job and return its document. Raises CleanupFailedError where not all could be done."""
    outcomes = [settled(one, partial(_failed, name)) for name, one in replicas.items()]
    document = cleaned_up(work.cleanup, outcomes, work.rows, dry_run=work.dry_run)
    for outcome in outcomes:
        for problem in outcome.problems:
            work.job.log.warning("The replica %s: %s", outcome.name, problem)
    _show(document)
    if not document["problems"]:
        return work.job.completed(document)
    raise work.job.failure(not_all_done(document), document)


def _failed(name: str, error: Exception) -> ReplicaOutcome:
    outcome = failed(name, error)
    return replace(outcome, error=masked(str(outcome.error)))


def _show(document: Json) -> None:
    went = "would go" if document["dryRun"] else "went"
    rows = [_row(one, went, one["why"]) for one in document["deleted"]]
    spared = {one["jobId"]: one["why"] for one in document["spared"]}
    rows += [{"backup": backup_id, "outcome": "stays for now", "why": why} for backup_id, why in spared.items()]
    rows += [_row(one, "stays", "; ".join(one["why"])) for one in document["kept"]]
    artifacts.table("cleanup-plan", "What a clean-up decided about each backup, and why", rows[:_SHOWN])
    facts = {
        "Backups that " + went: len(document["deleted"]),
        "Backups that stay": len(document["kept"]) + len(spared),
        "Bytes that are freed": figures.size(document["freedBytes"]),
        "Chunks deleted": document["chunksDeleted"],
        "Rows deleted": sum(count for count in (document["rows"] or {}).values() if isinstance(count, int)),
    }
    notes = [f"the table shows the first {_SHOWN} of {len(rows)} backups"] if len(rows) > _SHOWN else []
    notes += [f"nothing of the type {one['type']} goes: {one['why']}" for one in document["refused"]]
    notes += [f"the replica {one['name']}: {_of_replica(one, went)}" for one in document["replicas"]]
    artifacts.summary(
        "cleanup-summary", f"Clean-up {document['jobId']}", facts, [*notes, *document["problems"], *document["notes"]]
    )


def _row(one: Json, outcome: str, why: str) -> Json:
    return {
        "backup": one["jobId"],
        "type": one["type"],
        "snapshot at": one["snapshotAt"],
        "outcome": outcome,
        "why": why,
        "it had added": figures.size(one["storedBytes"]),
        "proven to": one["verifiedLevel"],
    }


def _of_replica(one: Json, went: str) -> str:
    return "; ".join([f"{len(one['deleted'])} backups {went}", *one["problems"]])
