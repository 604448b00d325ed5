"""`python -m benchmarks.engine_readers WAY`: the engine's backup, with tables read in a way that the product does not read them.

For the decision which way it is to be. A backup by halves has no truth and can't be restored; it is measured and thrown away.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psutil

from benchmarks.driver_reader import DriverReader
from benchmarks.engine import backup
from holdfast.postgres import dump, reading, table_reader
from holdfast.postgres.process import run_tool
from holdfast.postgres.snapshot import Snapshot
from holdfast.postgres.table_reader import TableReader, TableStream
from holdfast.postgres.tables import Table
from holdfast.postgres.truth import TableTruth

PSQL, INTERRUPTING, DRIVER, HALVES = "psql", "psql, which interrupts", "asyncpg", "psql, each table in two ranges"
HANDED = "psql, reads are handed to the server's workers"

# What is changed is the product's own, so not by its types.
_DUMP: Any = dump
_TABLE_READER: Any = table_reader
_READING: Any = reading
_SNAPSHOT: Any = Snapshot
_READER: Any = TableReader


def as_it_is() -> None:
    """Change nothing."""


def by_a_psql_that_interrupts() -> None:
    """Let the kernel give psql the processor as soon as there is anything to read."""

    def run(*arguments: Any, **options: Any) -> Any:
        child = run_tool(*arguments, **options)
        os.sched_setscheduler(_psql_of(child.pid), os.SCHED_OTHER, os.sched_param(0))
        return child

    _TABLE_READER.run_tool = run


def by_a_server_that_hands_reads_on() -> None:
    """Leave it to PostgreSQL's default who reads the tables' files."""
    _READING._READS_BY_ITSELF_SINCE = sys.maxsize


def by_driver() -> None:
    """Have asyncpg read."""
    _DUMP.TableReader = DriverReader


def by_halves() -> None:
    """Make two streams of each table, by ranges of blocks."""
    streams = _SNAPSHOT.streams
    ranges: dict[str, bytes] = {}

    def halves(snapshot: Snapshot, threshold_bytes: int) -> list[Table]:
        found = []
        for table in streams(snapshot, threshold_bytes):
            middle = _blocks(snapshot, table) // 2
            for number, range_ in enumerate((f"ctid < '({middle},0)'", f"ctid >= '({middle},0)'"), 1):
                half = dataclasses.replace(table, name=f"{table.name} {number}")
                ranges[half.name] = range_.encode()
                found.append(half)
        return found

    def stream(reader: TableReader, half: Table) -> TableStream:
        rows = b"SELECT " + half.stored_columns + b" FROM ONLY " + half.stored_name + b" WHERE " + ranges[half.name]
        reader._tell(b"COPY (" + rows + b") TO STDOUT " + table_reader._TO_STDOUT)
        return TableStream(reader._psql.stdout, reader._end)

    _SNAPSHOT.streams, _READER.stream = halves, stream
    _DUMP.DatabaseDump.count_rest = lambda _: None
    _DUMP.DatabaseDump._table_truth = lambda _, table, *__: TableTruth(table.schema, table.name, table.kind, 0, 0)


WAYS: dict[str, Callable[[], None]] = {
    PSQL: as_it_is,
    INTERRUPTING: by_a_psql_that_interrupts,
    HANDED: by_a_server_that_hands_reads_on,
    DRIVER: by_driver,
    HALVES: by_halves,
}


def _blocks(snapshot: Snapshot, table: Table) -> int:
    with snapshot._asking("measuring a table") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_relation_size(%s::oid) / current_setting('block_size')::int", (table.oid,))
        (blocks,) = cursor.fetchone() or (0,)
        return int(blocks)


def _psql_of(supervisor: int) -> int:
    """Wait until psql runs, which by then has asked the kernel for patience; it has nothing to do yet."""
    while True:
        for process in psutil.Process(supervisor).children():
            with suppress(psutil.Error):
                if process.name() == "psql":
                    return process.pid
        time.sleep(0.002)


if __name__ == "__main__":
    WAYS[sys.argv[1]]()
    backup()
