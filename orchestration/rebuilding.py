"""The steps of building a database from a backup, as tasks: a restore runs them, and a verification that rehearses one.

They are not tried again: a step that ended half-way has left its database in between. Only looking and a
table's rows can be repeated. Inside a task of another flow all rows are one task, with threads of its own.
"""

from __future__ import annotations

from holdfast.postgres.compare import ProofReport
from holdfast.postgres.restore import DatabaseRestore
from orchestration.tasks import inside_a_task, results, step


def rebuild(restore: DatabaseRestore) -> None:
    """Build the database under its scratch name: definitions, rows by several workers at once, indexes, properties."""
    create_database(restore)
    restore_roles(restore)
    restore_definitions(restore)
    if inside_a_task():
        restore_rows(restore)
    else:
        tables = [stream.entry.name.removeprefix("table/") for stream in restore.streams]
        results([restore_small_tables.submit(restore), *(restore_table.submit(restore, table) for table in tables)])
    build_indexes(restore)
    apply_properties(restore)
    if restore.options.analyze:
        analyze(restore)


@step("look before anything is changed")
def preflight(restore: DatabaseRestore) -> None:
    """Refuse what can't end well."""
    restore.preflight()


@step("create the database", retries=0)
def create_database(restore: DatabaseRestore) -> None:
    """Make an empty database under a scratch name."""
    restore.create_database()


@step("restore roles", retries=0)
def restore_roles(restore: DatabaseRestore) -> None:
    """Make the roles that are missing."""
    restore.restore_globals()


@step("restore definitions", retries=0)
def restore_definitions(restore: DatabaseRestore) -> None:
    """Make everything that rows need."""
    restore.restore_schema()


@step("restore rows", retries=0)
def restore_rows(restore: DatabaseRestore) -> None:
    """Take in the rows of all tables, several at once."""
    restore.restore_rows()


@step("restore small tables", retries=0)
def restore_small_tables(restore: DatabaseRestore) -> None:
    """Take in the rows of the small tables, sequences and large objects."""
    restore.restore_base_data()


@step("restore {table}")
def restore_table(restore: DatabaseRestore, table: str) -> int:
    """Take in the rows of one large table, and return how many there were."""
    return restore.restore_table(next(one.entry for one in restore.streams if one.entry.name == f"table/{table}"))


@step("build indexes and constraints", retries=0)
def build_indexes(restore: DatabaseRestore) -> None:
    """Make all that comes after the rows."""
    restore.restore_indexes()


@step("apply properties", retries=0)
def apply_properties(restore: DatabaseRestore) -> None:
    """Give the database its owner, grants, comment and settings."""
    restore.apply_properties()


@step("analyze", retries=0)
def analyze(restore: DatabaseRestore) -> None:
    """Gather the planner's statistics."""
    restore.analyze()


@step("compare with the source's truth")
def prove(restore: DatabaseRestore) -> ProofReport:
    """Compare what was restored with what the source was."""
    return restore.prove()
