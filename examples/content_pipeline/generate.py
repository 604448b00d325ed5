"""Build the sample database: schema, rows, then keys and indexes, in the order of a restore; and change it as a day would.

The same seed and size give the same rows and the same definitions, on every machine and with any number of sessions: each
table's rows come from noise of its own, and no time is ever asked for.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from examples.content_pipeline.facts import PipelineFacts, count_facts
from examples.content_pipeline.noise import Noise
from examples.content_pipeline.tables import DOCUMENTS_A_MEGABYTE, TABLES, Size, Table
from holdfast.postgres.connection import DatabaseUrl, connect

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812

SEED = 2026
MEGABYTES = 110

_HERE = Path(__file__).parent
_AFTER = "-- ## Section: after the rows"
_BATCH_BYTES = 1 << 18
_SESSION = """
    SET timezone = 'UTC'; SET datestyle = 'ISO'; SET synchronous_commit = off; SET maintenance_work_mem = '256MB';
    SET default_statistics_target = 10;
"""
_ANALYZE_AND_SET_HINTS = "VACUUM (ANALYZE)"  # the first backup should not pay for the load


def build(url: str | DatabaseUrl, *, megabytes: int = MEGABYTES, seed: int = SEED) -> PipelineFacts:
    """Fill the empty database `url` with at least `megabytes` MiB of rows, measured as COPY text."""
    address = DatabaseUrl.parse(url) if isinstance(url, str) else url
    size = Size(megabytes)
    before, after = _sections()
    started = time.monotonic()
    with closing(session(address)) as connection:
        execute(connection, before)
        _fill(address, size, seed)
        execute(connection, after)
        _set_identities(connection)
        execute(connection, _ANALYZE_AND_SET_HINTS)
    return count_facts(address, seconds=time.monotonic() - started)


def change(
    url: str | DatabaseUrl, *, percent_rows_updated: float = 0.0, percent_appended: float = 0.0, seed: int = SEED
) -> PipelineFacts:
    """Work on a built database as a day would: change rows here and there, and append new ones at the end.

    Updated is that share of the rows of each big table, spread evenly, except for events and audit, which are only ever
    written; appended is that share of the database's first size, in all big tables. Triggers do not fire.
    """
    address = DatabaseUrl.parse(url) if isinstance(url, str) else url
    started = time.monotonic()
    with closing(session(address)) as connection:
        execute(connection, "SET session_replication_role = replica")
        if percent_rows_updated:
            threshold = int(percent_rows_updated / 100 * (1 << 20))
            updates = (_HERE / "updates.sql").read_text(encoding="utf-8")
            execute(connection, f"SET pipeline.seed = {seed}; SET pipeline.threshold = {threshold};\n{updates}")
        if percent_appended:
            size = _appended_size(connection, percent_appended)
            for table in TABLES:
                copy(connection, table, table.maker(Noise(seed, f"{table.name}/{size.first_number}"), size))
            _set_identities(connection)
    return count_facts(address, seconds=time.monotonic() - started)


def _appended_size(connection: Connection, percent: float) -> Size:
    with connection.cursor() as cursor:
        cursor.execute("""
            SELECT (SELECT max(id) FROM content.documents),
                greatest((SELECT max(id) FROM content.revisions), (SELECT max(id) FROM pipeline.events),
                         (SELECT max(id) FROM pipeline.jobs), (SELECT max(id) FROM ops.audit))
        """)
        documents, number = cursor.fetchone() or (0, 0)
    return Size(documents / DOCUMENTS_A_MEGABYTE * percent / 100, documents + 1, number + 1)


def session(url: DatabaseUrl) -> Connection:
    """Open a connection set up for loading."""
    connection = connect(url, application_name="content_pipeline")
    execute(connection, _SESSION)
    return connection


def execute(connection: Connection, statements: str) -> None:
    """Run SQL text, of one or many statements."""
    with connection.cursor() as cursor:
        cursor.execute(statements)


def copy(connection: Connection, table: Table, lines: Iterator[str]) -> None:
    """Send a table's lines to the server."""
    statement = f"COPY {table.name} ({table.columns}) FROM STDIN (ENCODING 'UTF8')"
    with connection.cursor() as cursor:
        cursor.copy_expert(statement, cast("Any", _LineFile(lines)), size=_BATCH_BYTES)


def _sections() -> tuple[str, str]:
    before, after = (_HERE / "schema.sql").read_text(encoding="utf-8").split(_AFTER)
    return before, _AFTER + after


def _fill(url: DatabaseUrl, size: Size, seed: int) -> None:
    with ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 1)) as pool:
        work = [pool.submit(_fill_table, url, table, size, seed) for table in TABLES]
        work.append(pool.submit(_fill_small_tables, url, size))
        for done in work:
            done.result()


def _fill_table(url: DatabaseUrl, table: Table, size: Size, seed: int) -> None:
    with closing(session(url)) as connection:
        copy(connection, table, table.maker(Noise(seed, table.name), size))


def _fill_small_tables(url: DatabaseUrl, size: Size) -> None:
    with closing(session(url)) as connection:
        execute(
            connection,
            f"SET pipeline.documents = {size.documents}; SET pipeline.large_object_bytes = {size.share(0.01) // 16 * 16}",
        )
        execute(connection, (_HERE / "small_rows.sql").read_text(encoding="utf-8"))


def _set_identities(connection: Connection) -> None:
    """Let each identity go on after the rows that brought their own numbers."""
    with connection.cursor() as cursor:
        cursor.execute("""
            SELECT format('SELECT setval(%L, (SELECT max(%I) FROM %s))',
                pg_get_serial_sequence(attrelid::regclass::text, attname), attname, attrelid::regclass)
            FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
            WHERE attidentity <> '' AND relkind IN ('r', 'p') AND NOT relispartition
            ORDER BY attrelid::regclass::text
        """)
        for (statement,) in cursor.fetchall():
            cursor.execute(statement)


class _LineFile:
    """Lines as the file that psycopg2 reads COPY data from."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines

    def read(self, size: int) -> bytes:
        taken: list[str] = []
        length = 0
        for line in self._lines:
            taken.append(line)
            length += len(line)
            if length >= size:
                break
        taken.append("")
        return "\n".join(taken).encode()
