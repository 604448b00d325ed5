"""Bring a backup back: a database, functions, configuration or secrets metadata; new, or in the place of what is live."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from prefect import flow

from holdfast.repository import BackupType
from orchestration.job import Job
from orchestration.live_restore import bring_source_back
from orchestration.rebuilding import preflight, prove, rebuild
from orchestration.restore import Restoring, completed, restoring
from orchestration.source_restore import Wanted
from orchestration.tasks import readers, second_net, step
from orchestration.working import at_work, read_from

Mode = Literal["new", "promote", "in_place"]


@flow(
    name="restore",
    flow_run_name="restore {type} {backup_id} ({mode})",
    task_runner=readers(),
    timeout_seconds=second_net("restore_time_limit_minutes"),
    persist_result=False,
)
def restore(
    *,
    target: str,
    backup_id: str = "latest",
    type: BackupType = "database",  # noqa: A002  the field's own word
    mode: Mode = "new",
    tables: list[str] | None = None,
    only: list[str] | None = None,
    env_file: Path | None = None,
    job_id: str | None = None,
    dry_run: bool = False,
    from_replica: str | None = None,
    storage: str = "holdfast-storage",
    key: str = "holdfast-key",
) -> dict[str, Any]:
    """Restore a backup, or the newest of a type.

    `target` is a database's block or URL without password; a folder; or `live`, for all but databases: the place that was backed
    up. `tables` and `only` restore a part, `env_file` is where variables of a configuration are put.
    Nothing that is live is touched unless the mode says so; `dry_run` looks, tells what would be lost, and changes nothing.
    `from_replica` reads from a replica (a block's name, or a URL); otherwise one stands in where the primary can't be read.
    """
    job = Job("restore", type, job_id, backup_id=backup_id, recorded=not dry_run)
    with at_work(job, read_from(storage, key, from_replica)) as (job, repository):
        if type == "database":
            with restoring(job, repository, backup_id, target=target, mode=mode, tables=tables or []) as work:
                preflight(work.restore)
                if mode != "new":
                    count_losses(work)
                if not dry_run:
                    bring_back(work)
                return completed(job, work, dry_run=dry_run)
        return bring_source_back(job, repository, Wanted(backup_id, target, mode, only or [], dry_run, env_file))


def bring_back(work: Restoring) -> None:
    """Build the database beside and let it take its name last; or, asked for, all in one transaction in what exists."""
    if work.restore.in_transaction:
        replace_in_place(work)
        return
    rebuild(work.restore)
    prove(work.restore)
    take_name(work)


@step("count what would be lost")
def count_losses(work: Restoring) -> int:
    """Count the rows that the live database has and the backup has not."""
    return work.restore.losses().rows


@step("restore in place", retries=0)
def replace_in_place(work: Restoring) -> None:
    """Replace what the existing database holds, in one transaction."""
    work.restore.restore_in_place()


@step("take its name", retries=0)
def take_name(work: Restoring) -> None:
    """Give the database its name; promoted, the live one is kept under another."""
    work.restore.finish()
