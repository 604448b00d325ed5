"""Back up one PostgreSQL database: one snapshot, read by several readers at once, encrypted, committed last."""

from __future__ import annotations

from typing import Any

from prefect import flow

from holdfast.database_backup import DatabaseBackup
from holdfast.repository import Manifest
from orchestration.backup import backing_up, completed
from orchestration.job import Job
from orchestration.run_names import named
from orchestration.tasks import readers, results, second_net, step
from orchestration.working import at_work, backup_into


@flow(
    name="database_backup",
    flow_run_name=named("back up {database}", "backup"),
    task_runner=readers(),
    timeout_seconds=second_net("dump_time_limit_minutes"),
    persist_result=False,
)
def database_backup(
    storage: str = "holdfast-storage", key: str = "holdfast-key", database: str = "holdfast-database", job_id: str | None = None
) -> dict[str, Any]:
    """Back up the database of a block into the storage of a block, with the key of a block, and return the job.

    All tables are read as they were at one moment. The large ones are streams of their own, read at once; nothing of the backup
    exists before its last step.
    """
    with (
        at_work(Job("backup", "database", job_id), backup_into(storage, key)) as (job, repository),
        backing_up(job, repository, database) as backup,
    ):
        tables = plan(backup)
        job.progress.expect(backup.expected_bytes)
        definitions = dump_definitions.submit(backup)  # first: pg_dump takes locks of its own, which others may queue for
        streams = [dump_table.submit(backup, table) for table in tables]
        results([definitions, *streams, dump_roles.submit(backup), count_rows.submit(backup)])
        note_truth(backup)
        return completed(job, repository, commit(backup))


@step("look at the source")
def plan(backup: DatabaseBackup) -> list[str]:
    """Lock the tables against being altered, and name those that become streams of their own."""
    return backup.plan()


@step("dump definitions and small tables")
def dump_definitions(backup: DatabaseBackup) -> int:
    """Store pg_dump's archive, and return its size in bytes."""
    return backup.store_base().size_bytes


@step("dump {table}")
def dump_table(backup: DatabaseBackup, table: str) -> int:
    """Store the rows of one large table, and return their size in bytes."""
    return backup.store_table(table).size_bytes


@step("dump roles")
def dump_roles(backup: DatabaseBackup) -> int:
    """Store the roles, and return their size in bytes."""
    return backup.store_roles().size_bytes


@step("count rows")
def count_rows(backup: DatabaseBackup) -> None:
    """Count the rows of the small tables, as the source has them."""
    backup.count_rows()


@step("note the truth")
def note_truth(backup: DatabaseBackup) -> int:
    """Store what the source knows of itself, which every restore will be compared with."""
    return backup.store_truth().size_bytes


@step("commit", retries=0)
def commit(backup: DatabaseBackup) -> Manifest:
    """Make the backup exist, once all that it names is durable."""
    return backup.commit()
