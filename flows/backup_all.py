"""Back up everything that is on, all types at once: one that fails never stops the others, and the result says which."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prefect import flow

from flows.config_backup import config_backup
from flows.database_backup import database_backup
from flows.function_backup import function_backup
from flows.secrets_backup import secrets_backup
from orchestration.backup_all import concluded, documents, new_job_ids, run_apart
from orchestration.run_names import named
from orchestration.tasks import at_once, outcomes, second_net, step
from orchestration.together import together

BACKUPS: dict[str, Callable[..., dict[str, Any]]] = {
    "database": database_backup,
    "function": function_backup,
    "config": config_backup,
    "secrets": secrets_backup,
}


@flow(
    name="backup_all",
    flow_run_name=named("back up all", "backup"),
    task_runner=at_once(len(BACKUPS)),
    timeout_seconds=second_net("dump_time_limit_minutes"),
    persist_result=False,
)
def backup_all(
    types: list[str] | None = None, job_id: str | None = None, job_ids: dict[str, str] | None = None
) -> list[dict[str, Any]]:
    """Back up all types that are on, or these, and return their jobs, which have ids of their own, or these.

    Raises BackupsFailedError, once all have ended, where one failed.
    """
    ids = new_job_ids(types, job_ids)
    with together("backup", "all", job_id, [{"jobId": one, "type": kind} for kind, one in ids.items()]) as whole:
        ended = outcomes({kind: back_up.submit(kind, one) for kind, one in ids.items()})
        jobs = concluded(documents(ids, ended))
        whole.came_of({"jobs": jobs})
        return jobs


@step("back up {kind}", retries=0)
def back_up(kind: str, job_id: str) -> dict[str, Any]:
    """Run the backup of one type, as a flow of its own."""
    return run_apart(BACKUPS[kind], job_id)
