"""A period as the commands' JSON tells it. What could not be asked is null."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.alarms import to_see_to
from holdfast.period_report import text, title

if TYPE_CHECKING:
    from holdfast.overview import TypeOverview
    from holdfast.period import AttemptCounts, Deletion, Failure, Period, Proving

Json = dict[str, Any]


def document(period: Period) -> Json:
    """Describe it; times are aware, and left as they are."""
    kept, logged = period.kept, period.logged
    return {
        "since": period.since,
        "until": period.overview.at,
        "title": title(period),
        "alarms": [alarm.title for alarm in to_see_to(period.judgement)],
        "types": [_type(one, period) for one in period.overview.types],
        "restores": None if logged is None else _attempts(logged.restores),
        "failures": None if logged is None else [_failure(one) for one in logged.failures],
        "proofs": None if kept is None else [_proof(one) for one in kept.proofs],
        "deleted": None if kept is None else [_deletion(one) for one in kept.deletions],
        "nextRuns": dict(period.next_runs),
        "text": text(period),
    }


def _failure(one: Failure) -> Json:
    return {"what": one.what, "type": one.type, "jobId": one.job_id, "at": one.at, "error": one.error}


def _type(one: TypeOverview, period: Period) -> Json:
    before = period.of(one.type)
    attempts = None if period.logged is None else period.logged.backups.get(one.type)
    return {
        "type": one.type,
        "on": one.on,
        "attempts": None if attempts is None else _attempts(attempts),
        "made": None if before is None else before.made,
        "addedBytes": None if before is None else before.added_bytes,
        "sizeBytes": None if one.newest is None else one.newest.size_bytes,
        "sizeBytesBefore": None if before is None else before.size_before,
        "rpoSeconds": None if one.rpo is None else one.rpo.total_seconds(),
        "rpoSecondsBefore": before.rpo_before.total_seconds() if before and before.rpo_before is not None else None,
        "rtoSeconds": one.rto_seconds,
        "rtoSecondsBefore": None if before is None else before.rto_seconds_before,
    }


def _attempts(attempts: AttemptCounts) -> dict[str, int]:
    return {"completed": attempts.completed, "failed": attempts.failed, "cancelled": attempts.cancelled}


def _proof(one: Proving) -> Json:
    names = {"backupId": one.backup_id, "type": one.type, "at": one.at, "level": one.level, "ok": one.ok, "drill": one.drill}
    return {**names, "seconds": one.seconds, "problems": list(one.problems)}


def _deletion(one: Deletion) -> Json:
    return {"at": one.at, "backups": list(one.backup_ids), "freedBytes": one.freed_bytes, "problems": list(one.problems)}
