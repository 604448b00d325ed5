"""Restores, checks and rehearsals as steps of a plan need them: each a job of its own, within the time that the step has left.

They run inside a task of the plan's flow, with the repository that this has open. A restore is that of the flow `restore`; only
where it goes without a target is another: to what is live.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from holdfast.errors import NotFoundError, VerificationFailedError
from holdfast.postgres.restore import Mode
from holdfast.postgres.url import DatabaseUrl
from holdfast.recovery.deadline import Deadline
from holdfast.repository import Level, Repository
from holdfast.settings import Settings
from orchestration.job import Job
from orchestration.live_restore import bring_source_back
from orchestration.rehearsing import rehearse
from orchestration.restore import WantedDatabase, bring_database_back
from orchestration.source_restore import LIVE, Wanted
from orchestration.verification import concluded, verifying

Json = dict[str, Any]


def live_database(settings: Settings) -> DatabaseUrl:
    """Name the database that is backed up. Raises NotFoundError where none is set."""
    if settings.database_url is None:
        raise NotFoundError("there is no database to recover", next_step="Set BACKUP_DATABASE_URL")
    return DatabaseUrl.parse(settings.database_url)


def bring_back(
    repository: Repository,
    backup_type: str,
    backup_id: str,
    deadline: Deadline,
    *,
    mode: str,
    only: Sequence[str] = (),
    tables: Sequence[str] = (),
    target: str | None = None,
    dry_run: bool = False,
) -> Json:
    """Restore as the flow `restore` does; without a target to what is live. Returns the restore's document."""
    deadline.require()
    with Job("restore", backup_type, backup_id=backup_id, recorded=not dry_run) as job:
        if backup_type != "database":
            wanted = Wanted(backup_id, target or LIVE, mode, only, dry_run, require_time=deadline.require)
            return bring_source_back(job, repository, wanted)
        place = target or live_database(job.settings)
        return bring_database_back(
            job,
            repository,
            WantedDatabase(backup_id, place, cast("Mode", mode), tables, dry_run, only_proven=True, deadline=deadline),
        )


def check_backup(repository: Repository, backup_type: str, backup_id: str, deadline: Deadline) -> Json:
    """Read all of a backup: `jobId`, `backupId`, `ok`, `problems`, `seconds`. Leaves a proof; what is damaged is set aside."""
    found = _verified(repository, backup_type, backup_id, "read", deadline)
    return _told(found, found["figures"]["seconds"])


def rehearse_backup(repository: Repository, backup_type: str, backup_id: str, deadline: Deadline) -> Json:
    """Bring a backup back into scratch and compare it: `jobId`, `backupId`, `ok`, `problems`, `seconds`. Leaves a proof.

    The seconds are those of the restore alone; None where it did not come to its end.
    """
    found = _verified(repository, backup_type, backup_id, "proven", deadline)
    return _told(found, found["figures"].get("restoreSeconds"))


def _verified(repository: Repository, backup_type: str, backup_id: str, level: Level, deadline: Deadline) -> Json:
    """Verify a backup as the flow `verification` does; that it does not pass is told, and not raised."""
    deadline.require()
    try:
        with (
            Job("verification", backup_type) as job,
            verifying(
                job, repository, backup_id, level, time_limit_seconds=deadline.seconds_left, drill=level == "proven"
            ) as work,
        ):
            work.check(_in_time(job.progress.parts(), deadline))
            if work.restores and not work.failed:
                rehearse(job, work)
            return concluded(job, work, work.conclude())
    except VerificationFailedError as error:
        if error.found is None:
            raise
        return error.found


def _in_time(progress: Callable[[int, int], None], deadline: Deadline) -> Callable[[int, int], None]:
    def told(done: int, whole: int) -> None:
        deadline.require()
        progress(done, whole)

    return told


def _told(found: Json, seconds: float | None) -> Json:
    return {name: found[name] for name in ("jobId", "backupId", "ok", "problems")} | {"seconds": seconds}
