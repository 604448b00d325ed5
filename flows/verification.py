"""Prove a backup: its objects are there, they can be read, it can be restored, and what is restored equals its source."""

from __future__ import annotations

from typing import Any

from prefect import flow

from holdfast.repository import BackupType, Level, Proof
from holdfast.verification import Verification
from orchestration.job import Job
from orchestration.rehearsing import rehearse
from orchestration.run_names import named
from orchestration.tasks import readers, second_net, step
from orchestration.verification import concluded, verifying
from orchestration.working import at_work, read_from


@flow(
    name="verification",
    flow_run_name=named("verify {type} {backup_id} to {level}", "verification"),
    task_runner=readers(),
    timeout_seconds=second_net("verify_time_limit_minutes"),
    persist_result=False,
)
def verification(
    *,
    backup_id: str = "latest",
    type: BackupType = "database",  # noqa: A002  the field's own word
    level: Level = "proven",
    subset: str | None = None,
    job_id: str | None = None,
    from_replica: str | None = None,
    storage: str = "holdfast-storage",
    key: str = "holdfast-key",
) -> dict[str, Any]:
    """Verify a backup, or the newest of a type, to a level, and leave the proof where the backup is.

    `stored` < `read` (`subset` 1/7 reads a seventh) < `restored` < `proven`. The last two restore into a scratch
    database, or folder.
    `from_replica` verifies the copy in a replica (a block's name, or a URL), as happens where the primary can't be read.
    """
    with (
        at_work(Job("verification", type, job_id), read_from(storage, key, from_replica)) as (job, repository),
        verifying(job, repository, backup_id, level, subset) as work,
    ):
        check(job, work)
        if work.restores and not work.failed:
            rehearse(job, work)
        return concluded(job, work, leave_proof(work))


@step("check the stored objects")
def check(job: Job, work: Verification) -> None:
    """Look at every object of the backup, and set aside what is damaged."""
    work.check(job.progress.parts())


@step("leave the proof")
def leave_proof(work: Verification) -> Proof:
    """Write what was found into the repository."""
    return work.conclude()
