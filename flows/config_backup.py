"""Back up the configuration: variables, files, what the catalog keeps of it, and Prefect's own deployments and automations."""

from __future__ import annotations

from typing import Any

from prefect import flow

from orchestration.job import Job
from orchestration.run_names import named
from orchestration.source_backup import back_up_source
from orchestration.source_opening import open_configuration
from orchestration.tasks import readers, second_net
from orchestration.working import at_work, backup_into


@flow(
    name="config_backup",
    flow_run_name=named("back up {source}", "backup"),
    task_runner=readers(),
    timeout_seconds=second_net("dump_time_limit_minutes"),
    persist_result=False,
)
def config_backup(
    storage: str = "holdfast-storage",
    key: str = "holdfast-key",
    source: str = "holdfast-configuration",
    job_id: str | None = None,
) -> dict[str, Any]:
    """Back up the configuration that a block names, as it is on this host, and return the job.

    What looks like a secret is left out and listed by name, unless the block says otherwise.
    """
    with at_work(Job("backup", "config", job_id), backup_into(storage, key)) as (job, repository):
        return back_up_source(job, repository, lambda: open_configuration(source, key, job.settings, repository))
