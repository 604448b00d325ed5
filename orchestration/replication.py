"""What the replication flow needs beside its tasks: the lease, what is known of each replica, and how the outcome is told."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from holdfast import figures
from holdfast.replication import (
    PURPOSE,
    Copies,
    Outcome,
    backup_ids,
    bring_up_to_date,
    copies,
    failed,
    judged,
    not_up_to_date,
    replicated,
)
from holdfast.turn import wait_to_be_first
from orchestration import artifacts
from orchestration.job import Job
from orchestration.masking import masked
from orchestration.opening import Source, find_replica
from orchestration.rows import Json
from orchestration.tasks import settled


class Replicating:
    """A replication on its way."""

    def __init__(self, job: Job, source: Source, replicas: Sequence[str] | None, *, read_back: bool) -> None:
        self.job = job
        self.source = source
        self.replicas = list(dict.fromkeys(job.settings.replicas if replicas is None else replicas))
        self._read_back = read_back
        self._end = time.monotonic() + job.settings.dump_time_limit_minutes * 60
        self._progress = {name: job.progress.parts() for name in self.replicas}

    @property
    def seconds_left(self) -> float:
        """How much of the job's time limit is left."""
        return max(0.0, self._end - time.monotonic())

    def bring_up_to_date(self, name: str) -> Outcome:
        """Copy to one replica what it lacks. Raises what keeps that from being done."""
        return bring_up_to_date(
            find_replica(name, self.job.settings),
            self.source.storage,
            self.source.repository,
            read_back=self._read_back,
            time_limit_seconds=self.seconds_left,
            on_progress=self._progress[name],
        )


@contextmanager
def replicating(job: Job, source: Source, replicas: Sequence[str] | None, *, read_back: bool) -> Iterator[Replicating]:
    """Hold a lease on the primary, and wait for a replication that began before: then there is little left to copy.

    Raises BusyError where the wait takes as long as the whole job may.
    """
    work = Replicating(job, source, replicas, read_back=read_back)
    if not work.replicas:
        job.log.warning("BACKUP_REPLICAS is not set, so there is nothing to copy to")
    with job.leased(source.repository, PURPOSE, wait_seconds=work.seconds_left) as lease:
        wait_to_be_first(source.repository, lease, limit_seconds=work.seconds_left)
        yield work


def completed(work: Replicating, done: Mapping[str, Outcome | BaseException]) -> Json:
    """Record which backups lie where, show it, close the job, and return its document. Raises ReplicationFailedError."""
    found = [settled(one, partial(_failed, name)) for name, one in done.items()]
    known = _recorded(work, found)
    document = replicated(work.job.id, found)
    _show(work, document, known)
    if document["status"] == "completed":
        return work.job.completed(document)
    raise work.job.failure(not_up_to_date(document), document)


def _failed(name: str, error: Exception) -> Outcome:
    outcome = failed(name, error)
    return replace(outcome, error=masked(str(outcome.error)))


def _recorded(work: Replicating, found: Sequence[Outcome]) -> Copies:
    """Write into the row of each backup where it lies now."""
    mirror, repository, settings = work.job.mirror, work.source.repository, work.job.settings
    noted = {job_id: metadata.get("copies") or [] for job_id, metadata in mirror.metadata(backup_ids(repository, found)).items()}
    known = copies(work.source.settings, repository, found, recorded=noted, replicas={*settings.replicas, *work.replicas})
    for job_id, places in known.items():
        mirror.note_job(job_id, {"copies": places})
    return known


def _show(work: Replicating, document: Json, known: Copies) -> None:
    rows = [
        {
            "replica": one["name"],
            "up to date": one["ok"],
            "copied": f"{one['copiedObjects']:,} objects, {figures.size(one['copiedBytes'])}",
            "backups": one["backups"],
            "seconds": one["seconds"],
            "problems": "\n".join(one["problems"]),
        }
        for one in document["replicas"]
    ]
    artifacts.table("replication-replicas", "What became of each replica", rows)
    artifacts.table(
        "replication-copies", "Where each backup lies", [_copy_row(backup_id, found) for backup_id, found in known.items()]
    )
    facts = {
        "Replicas": len(rows),
        "Up to date": sum(one["ok"] for one in document["replicas"]),
        "Copied": figures.size(sum(one["copiedBytes"] for one in document["replicas"])),
        "Backups": len(known),
    }
    notes = [f"{one['name']}: {problem}" for one in document["replicas"] for problem in one["problems"]]
    artifacts.summary("replication-summary", f"Replication {work.job.id}", facts, notes)


def _copy_row(backup_id: str, found: Sequence[Json]) -> Json:
    rule = judged(found)
    return {
        "backup": backup_id,
        "copies": len(found),
        "where": ", ".join(str(copy["storage"]) for copy in found),
        "3-2-1": "holds" if rule.holds else "lacks " + ", ".join(rule.missing),
    }
