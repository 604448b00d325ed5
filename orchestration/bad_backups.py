"""Telling that backups were found bad, or whole again: in their rows, and as an event that starts a fresh backup.

`holdfast.backup.bad` is emitted where a fresh backup can help, and the triggers of the backups' deployments listen to it. What
was known before, and what a fresh backup did not help, is `holdfast.backup.bad_again`, which starts nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.bad_backups import BadBackups
from holdfast.repository import Level
from orchestration import events
from orchestration.job import Job

_TOLD_MAX = 100


def note_level(job: Job, backup_id: str, level: Level | None, *, ok: bool) -> None:
    """Note in a backup's row what it is proven to, and whether it is bad."""
    job.mirror.note_job(backup_id, {"verifiedLevel": level, "bad": not ok})


def tell_of_bad(job: Job, found: Sequence[BadBackups], problems: Sequence[str]) -> None:
    """Emit one event for each type that has bad backups."""
    for one in found:
        payload = {
            "jobId": job.id,
            "type": one.type,
            "foundBy": job.kind,
            "backupIds": list(one.ids[:_TOLD_MAX]),
            "problems": list(problems[:_TOLD_MAX]),
        }
        name = "backup.bad" if one.fresh else "backup.bad_again"
        events.emit(name, job_id=job.id, type=one.type, payload=payload, target=job.settings.target)
        job.log.error("%d %s backups are bad, %s the newest of them", len(one.ids), one.type, one.ids[0])
