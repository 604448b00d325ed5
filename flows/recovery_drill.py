"""Rehearse the worst day: the newest good backup of each type is brought back into scratch, timed, compared, and torn down."""

from __future__ import annotations

from typing import Any

from prefect import flow

from holdfast.repository import BackupType, Proof
from holdfast.verification import Verification
from orchestration.drill import attempt, concluded, drilling
from orchestration.job import Job
from orchestration.rehearsing import rehearse
from orchestration.run_names import named
from orchestration.tasks import readers, second_net, step
from orchestration.working import at_work, read_from


@flow(
    name="recovery_drill",
    flow_run_name=named("restore drill", "drill"),
    task_runner=readers(),
    timeout_seconds=second_net("verify_time_limit_minutes"),
    persist_result=False,
)
def recovery_drill(
    *,
    types: list[BackupType] | None = None,
    job_id: str | None = None,
    storage: str = "holdfast-storage",
    key: str = "holdfast-key",
) -> dict[str, Any]:
    """Bring back these types, or all that are on, as a real restore would, and measure how long each takes.

    Nothing live is touched. Each leaves a proof with its time; the run fails once all were tried, where one did not come back.
    """
    with (
        at_work(Job("drill", "drill", job_id), read_from(storage, key, None)) as (job, repository),
        drilling(job, repository, types) as drill,
    ):
        for kind in drill.types:
            attempt(job, drill, kind, lambda work: brought_back(job, work))
        return concluded(job, drill)


def brought_back(job: Job, work: Verification) -> Proof:
    """Bring one backup back into scratch, and tell how that went."""
    rehearse(job, work)
    return leave_proof(work)


@step("leave the proof of {work.manifest.type}")
def leave_proof(work: Verification) -> Proof:
    """Write what was found, and how long it took, into the repository."""
    return work.conclude()
