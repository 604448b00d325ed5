"""Back up what is known of secrets, provider by provider: names, digests, times, who may read them; never a value."""

from __future__ import annotations

from typing import Any

from prefect import flow

from orchestration.job import Job
from orchestration.run_names import named
from orchestration.source_backup import back_up_source
from orchestration.source_opening import open_secrets
from orchestration.tasks import readers, second_net
from orchestration.working import at_work, backup_into


@flow(
    name="secrets_backup",
    flow_run_name=named("back up secrets metadata", "backup"),
    task_runner=readers(),
    timeout_seconds=second_net("dump_time_limit_minutes"),
    persist_result=False,
)
def secrets_backup(
    storage: str = "holdfast-storage",
    key: str = "holdfast-key",
    providers: list[str] | None = None,
    job_id: str | None = None,
) -> dict[str, Any]:
    """Back up the metadata of the secrets of the settings' providers, or of these (blocks, as type/name), and return the job.

    A provider that does not answer is left out and named; the others are kept.
    """
    with at_work(Job("backup", "secrets", job_id), backup_into(storage, key)) as (job, repository):
        return back_up_source(job, repository, lambda: open_secrets(providers, job.settings, repository))
