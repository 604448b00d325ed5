"""Back up Edge Functions: each function an entry of its own, with all that they share, encrypted, committed last."""

from __future__ import annotations

from typing import Any

from prefect import flow

from orchestration.job import Job
from orchestration.run_names import named
from orchestration.source_backup import back_up_source
from orchestration.source_opening import open_functions
from orchestration.tasks import readers, second_net
from orchestration.working import at_work, backup_into


@flow(
    name="function_backup",
    flow_run_name=named("back up {source}", "backup"),
    task_runner=readers(),
    timeout_seconds=second_net("dump_time_limit_minutes"),
    persist_result=False,
)
def function_backup(
    storage: str = "holdfast-storage", key: str = "holdfast-key", source: str = "holdfast-functions", job_id: str | None = None
) -> dict[str, Any]:
    """Back up the functions of a block (a folder, or a Supabase project), and return the job.

    A function that can't be read is left out and named; the others are kept.
    """
    with at_work(Job("backup", "function", job_id), backup_into(storage, key)) as (job, repository):
        return back_up_source(job, repository, lambda: open_functions(source))
