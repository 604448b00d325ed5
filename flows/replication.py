"""Bring the replicas up to date: what each of them lacks is copied, stored bytes as they are, and proven to have arrived."""

from __future__ import annotations

from typing import Any

from prefect import flow

from holdfast.replication import Outcome
from orchestration.job import Job
from orchestration.replication import Replicating, completed, replicating
from orchestration.run_names import named
from orchestration.tasks import outcomes, readers, second_net, step
from orchestration.working import at_work, replicate_from


@flow(
    name="replication",
    flow_run_name=named("replicate", "replication"),
    task_runner=readers(),
    timeout_seconds=second_net("dump_time_limit_minutes"),
    persist_result=False,
)
def replication(
    *,
    replicas: list[str] | None = None,
    read_back: bool = True,
    job_id: str | None = None,
    storage: str = "holdfast-storage",
    key: str = "holdfast-key",
) -> dict[str, Any]:
    """Copy what is missing to the replicas of the settings, or to these: names of blocks, or URLs.

    Each replica is a task of its own; one that fails hinders no other, and the run fails once all are done.
    """
    with (
        at_work(Job("replication", "replication", job_id), replicate_from(storage, key)) as (job, source),
        replicating(job, source, replicas, read_back=read_back) as work,
    ):
        futures = {name: copy_what_is_missing.submit(work, name) for name in work.replicas}
        return completed(work, outcomes(futures))


@step("copy to {name}")
def copy_what_is_missing(work: Replicating, name: str) -> Outcome:
    """Bring one replica up to date."""
    return work.bring_up_to_date(name)
