"""Back up what is known of secrets, provider by provider: names, digests, times, who may read them; never a value."""

from __future__ import annotations

from typing import Any

from prefect import flow

from orchestration.dead_work import close_dead_work
from orchestration.job import Job
from orchestration.opening import opened_repository
from orchestration.source_backup import back_up_source
from orchestration.source_opening import open_secrets
from orchestration.tasks import readers, second_net


@flow(
    name="secrets_backup",
    flow_run_name="back up secrets metadata",
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
    with Job("backup", "secrets", job_id) as job, opened_repository(storage, key) as repository:
        close_dead_work(job.mirror, repository)
        return back_up_source(job, repository, lambda: open_secrets(providers, job.settings, repository))
