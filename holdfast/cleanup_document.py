"""A clean-up as the commands' JSON tells it: what went or would go and why, what stays and why, what became of replicas."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from holdfast import figures
from holdfast.cleanup import Cleanup
from holdfast.errors import CleanupFailedError
from holdfast.replica_cleanup import ReplicaOutcome
from holdfast.retention import Judged, KnownBackup, Refusal, Verdict

Json = dict[str, Any]


def cleaned_up(cleanup: Cleanup, replicas: Sequence[ReplicaOutcome], rows: Json | None, *, dry_run: bool) -> Json:
    """Describe a clean-up. In a dry run `deleted` is what would go, and `freedBytes` what that would free (None: not known)."""
    plan = cleanup.the_plan
    return {
        "jobId": cleanup.how.job_id,
        "type": "cleanup",
        "status": "failed" if cleanup.problems else "completed",
        "dryRun": dry_run,
        "deleted": _deleted(cleanup, dry_run=dry_run),
        "kept": [_kept(verdict) for verdict in plan.kept],
        "spared": [{"jobId": backup_id, "why": why} for backup_id, why in cleanup.spared.items()],
        "refused": [_refused(refusal) for refusal in plan.refused],
        "freedBytes": plan.freeable_bytes if dry_run else cleanup.freed_bytes,
        "chunksDeleted": cleanup.chunks_deleted,
        "rows": rows,
        "replicas": [_replica(outcome, dry_run=dry_run) for outcome in replicas],
        "problems": list(cleanup.problems),
        "notes": [note for note in (cleanup.put_off, plan.unprunable if dry_run else None) if note],
    }


def not_all_done(document: Json) -> CleanupFailedError:
    """Make the error of a clean-up that could not do all; it brings the document along."""
    error = CleanupFailedError(
        "the clean-up could not carry out all of its plan",
        reason="; ".join(figures.first(document["problems"], 5)),
        next_step="What was done stays done, and the next clean-up plans afresh; 'holdfast repo check' tells of damage",
    )
    error.found = document
    return error


def _deleted(cleanup: Cleanup, *, dry_run: bool) -> list[Json]:
    gone = {one.id for one in cleanup.forgotten}
    doomed: Judged = cleanup.the_plan.doomed
    return [{**_of(one.backup), "why": one.why} for one in doomed if dry_run or one.backup.id in gone]


def _kept(verdict: Verdict) -> Json:
    return {**_of(verdict.backup), "why": [str(reason) for reason in verdict.keeps], "special": _is_special(verdict)}


def _is_special(verdict: Verdict) -> bool:
    """Whether it stays for other reasons than that it is young, or one of the last good ones."""
    return not {reason.kind for reason in verdict.keeps} & {"young", "last"} or verdict.backup.pinned is not None


def _of(backup: KnownBackup) -> Json:
    return {
        "jobId": backup.id,
        "type": backup.type,
        "snapshotAt": _time(backup.at) if backup.damaged is None else None,
        "storedBytes": backup.stored_bytes,
        "verifiedLevel": backup.level,
    }


def _refused(refusal: Refusal) -> Json:
    return {"type": refusal.type, "source": refusal.source, "why": refusal.why}


def _replica(outcome: ReplicaOutcome, *, dry_run: bool) -> Json:
    done = outcome.done
    return {
        "name": outcome.name,
        "location": outcome.location,
        "ok": not outcome.problems,
        "deleted": _deleted(done, dry_run=dry_run) if done is not None else [],
        "freedBytes": (done.the_plan.freeable_bytes if dry_run else done.freed_bytes) if done is not None else 0,
        "problems": outcome.problems,
        "seconds": round(outcome.seconds, 3),
    }


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
