"""Bring replicas up to date, one at a time and each by itself, and tell which backups lie where, without Prefect.

What one replica lacks or refuses is its own outcome and hinders no other. A copy counts only where the whole backup is there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from holdfast.copies import Place, ThreeTwoOne, place_of, three_two_one
from holdfast.errors import HoldfastError, RefusedError, ReplicationFailedError, TimeLimitError
from holdfast.opening import PRIMARY
from holdfast.repository import ReplicationReport, Repository, replicate
from holdfast.storage import Storage, StorageSettings
from holdfast.storage.replica import Replica

PURPOSE = "replicate"
Json = dict[str, Any]
Copies = dict[str, list[Json]]
"""By backup, the copies of it that are known: what `backup_jobs.metadata` holds as `copies`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one replica; without a report it could not be reached, or was given up half-way.

    `refused` is a place that was reached, and holds something else than this repository: it has no copy of anything.
    """

    name: str
    replica: Replica | None = None
    report: ReplicationReport | None = None
    error: str | None = None
    refused: bool = False
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return self.report is not None and self.report.ok

    @property
    def problems(self) -> list[str]:
        """Why the replica does not hold all that the primary holds."""
        return [self.error] if self.error else list(self.report.problems if self.report else [])

    def document(self) -> Json:
        """Describe it as the commands' JSON does."""
        report = self.report or ReplicationReport()
        return {
            "name": self.name,
            "location": place_of(self.name, self.replica.settings).location if self.replica else None,
            "ok": self.ok,
            "copiedObjects": report.copied_objects,
            "copiedBytes": report.copied_bytes,
            "presentObjects": report.present_objects,
            "backups": sum(backup.whole for backup in report.backups),
            "problems": self.problems,
            "seconds": round(self.seconds, 3),
        }


def bring_up_to_date(
    replica: Replica,
    source: Storage,
    repository: Repository | None,
    *,
    read_back: bool = True,
    time_limit_seconds: float | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Outcome:
    """Copy to a replica what it lacks; `repository` is None where the key is not at hand.

    Raises TimeLimitError, and what `replicate` raises.
    """
    began = time.monotonic()

    def told(done: int, whole: int) -> None:
        if time_limit_seconds is not None and time.monotonic() - began > time_limit_seconds:
            raise TimeLimitError(
                f"the replica {replica.name} was not up to date within {time_limit_seconds:g} seconds",
                next_step="Raise BACKUP_DUMP_TIME_LIMIT_MINUTES; what was copied is not copied again",
            )
        if on_progress is not None:
            on_progress(done, whole)

    target = replica.open()
    try:
        report = replicate(source, target, repository=repository, read_back=read_back, on_progress=told)
    finally:
        target.close()
    return Outcome(replica.name, replica, report, seconds=time.monotonic() - began)


def failed(name: str, error: Exception, seconds: float = 0.0) -> Outcome:
    """Make the outcome of a replica of which nothing came."""
    why = str(error)
    if isinstance(error, HoldfastError):
        why = error.what_and_why
    return Outcome(name, error=why or type(error).__name__, refused=isinstance(error, RefusedError), seconds=seconds)


def replicated(job_id: str, outcomes: Sequence[Outcome]) -> Json:
    """Describe a replication as the commands' JSON does."""
    return {
        "jobId": job_id,
        "type": "replication",
        "status": "completed" if all(outcome.ok for outcome in outcomes) else "failed",
        "replicas": [outcome.document() for outcome in outcomes],
    }


def not_up_to_date(document: Json) -> ReplicationFailedError:
    """Make the error of a replication of which a replica failed; it brings the document along."""
    bad = [replica for replica in document["replicas"] if not replica["ok"]]
    error = ReplicationFailedError(
        f"{len(bad)} of {len(document['replicas'])} replicas could not be brought up to date",
        reason="; ".join(f"{replica['name']}: {_first_of(replica['problems'])}" for replica in bad),
        next_step="What was copied stays; 'holdfast repo replicate' goes on where it stopped",
    )
    error.found = document
    return error


def copy_in(name: str, settings: StorageSettings, verified_at: datetime | None) -> Json:
    """Describe the copy of a backup that lies in this storage; `verified_at` is when it was last known to be whole."""
    place = place_of(name, settings)
    return {
        "storage": name,
        "location": place.location,
        "kind": settings.type,
        "medium": place.medium,
        "offsite": place.offsite,
        "verifiedAt": verified_at.astimezone(UTC).isoformat().replace("+00:00", "Z") if verified_at else None,
    }


def judged(found: Iterable[Json]) -> ThreeTwoOne:
    """Judge by the 3-2-1 rule the copies of one backup, as they are recorded."""
    return three_two_one(
        [Place(copy["storage"], copy["location"], str(copy.get("medium")), bool(copy["offsite"])) for copy in found]
    )


def copies(
    primary: StorageSettings,
    repository: Repository | None,
    outcomes: Sequence[Outcome],
    *,
    recorded: Mapping[str, Sequence[Json]] | None = None,
    replicas: Iterable[str] = (),
) -> Copies:
    """Tell where each backup of the primary lies now.

    Of a replica that could not be looked at now, among those named, what was recorded of it before still stands.
    """
    still = set(replicas) - {outcome.name for outcome in outcomes if outcome.report is not None or outcome.refused}
    return {
        backup_id: [
            copy_in(PRIMARY, primary, _last_good_proof(repository, backup_id)),
            *_copies_of(backup_id, outcomes),
            *(copy for copy in (recorded or {}).get(backup_id, ()) if copy.get("storage") in still),
        ]
        for backup_id in backup_ids(repository, outcomes)
    }


def backup_ids(repository: Repository | None, outcomes: Sequence[Outcome]) -> list[str]:
    """Name the backups that the primary holds: without the key, as far as a replica's report tells."""
    if repository is not None:
        return [summary.id for summary in repository.backups() if summary.damaged is None]
    return sorted({backup.id for outcome in outcomes if outcome.report for backup in outcome.report.backups})


def _copies_of(backup_id: str, outcomes: Sequence[Outcome]) -> Iterator[Json]:
    now = datetime.now(UTC)
    for outcome in outcomes:
        whole = {backup.id for backup in outcome.report.backups if backup.whole} if outcome.report else set()
        if outcome.replica is not None and backup_id in whole:
            yield copy_in(outcome.name, outcome.replica.settings, now)


def _last_good_proof(repository: Repository | None, backup_id: str) -> datetime | None:
    if repository is None:
        return None
    return next((proof.finished_at for proof in repository.proofs(backup_id) if proof.ok), None)


def _first_of(problems: Sequence[str]) -> str:
    more = f"; and {len(problems) - 1} more" if len(problems) > 1 else ""
    return (problems[0] if problems else "it failed") + more
