"""Check everything that is stored: each backup is there, and a part of all chunks is read, so that in time every byte is."""

from __future__ import annotations

from typing import Any

from prefect import flow

from holdfast.checking import Checking
from orchestration.checking import checking, concluded, heal
from orchestration.job import Job
from orchestration.run_names import named
from orchestration.tasks import second_net, step
from orchestration.working import at_work


@flow(
    name="repository_check",
    flow_run_name=named("check the repository", "check"),
    timeout_seconds=second_net("verify_time_limit_minutes"),
    persist_result=False,
)
def repository_check(
    *, job_id: str | None = None, storage: str = "holdfast-storage", key: str = "holdfast-key"
) -> dict[str, Any]:
    """See that every backup is there, and read the part of the chunks that was read the longest ago.

    With a run each BACKUP_VERIFICATION_INTERVAL hours every byte is read within BACKUP_READ_WITHIN_DAYS days; after missed runs
    more is read. What is damaged is healed from a replica, or set aside; backups that need it get a bad proof.
    """
    with at_work(Job("check", "check", job_id), heal(storage, key)) as (job, repository), checking(job, repository) as work:
        due = plan(work)
        for part in due:
            read(job, work, part)
        mark(work)
        return concluded(job, work)


@step("find out what to read")
def plan(work: Checking) -> list[int]:
    """Number the parts that are due."""
    return work.due()


@step("see that all is there, and read part {part}")
def read(job: Job, work: Checking, part: int) -> int:
    """Read one part of the chunks, and return how many there were."""
    return work.read(part, job.progress.parts()).chunks_read


@step("leave proofs")
def mark(work: Checking) -> None:
    """Write down what is new of each backup."""
    work.mark()
