"""Bring a backup back: a database, functions, configuration or secrets metadata; new, or in the place of what is live."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from prefect import flow

from holdfast.repository import BackupType
from holdfast.source_restore import refuse_for_databases_only
from orchestration.job import Job
from orchestration.live_restore import bring_source_back
from orchestration.restore import WantedDatabase, bring_database_back
from orchestration.run_names import named
from orchestration.source_restore import Wanted
from orchestration.tasks import readers, second_net
from orchestration.working import at_work, read_from

Mode = Literal["new", "promote", "in_place"]


@flow(
    name="restore",
    flow_run_name=named("restore {type} {backup_id} ({mode})", "restore"),
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
    unproven: bool = False,
    analyze: bool = True,
    from_replica: str | None = None,
    storage: str = "holdfast-storage",
    key: str = "holdfast-key",
) -> dict[str, Any]:
    """Restore a backup, or the newest of a type.

    `target` is a database's block, `block/database` or URL without password; for all but databases a folder, `home`: a new one
    in this host's home, or `live`: the place that was backed up. `tables` and `only` restore a part, `env_file` is where
    variables of a configuration are put.
    Nothing that is live is touched unless the mode says so; `dry_run` looks, tells what would be lost, and changes nothing.
    `unproven` leaves out the comparison of a new database with what the source held, `analyze` false a database's planner
    statistics.
    `from_replica` reads from a replica (a block's name, or a URL); otherwise one stands in where the primary can't be read.
    """
    job = Job("restore", type, job_id, backup_id=backup_id, recorded=not dry_run)
    with at_work(job, read_from(storage, key, from_replica)) as (job, repository):
        if type == "database":
            wanted = WantedDatabase(backup_id, target, mode, tables or [], dry_run, prove=not unproven, analyze=analyze)
            return bring_database_back(job, repository, wanted)
        refuse_for_databases_only(type, prove=not unproven, analyze=analyze)
        return bring_source_back(job, repository, Wanted(backup_id, target, mode, only or [], dry_run, env_file))
