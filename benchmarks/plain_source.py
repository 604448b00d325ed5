"""A database that older servers can hold: five of the sample's tables, with the sample's own rows, and types that all have.

The sample itself needs PostgreSQL 16 and the extension `vector`. What is left out is what makes it hard to dump, not to read.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from examples.content_pipeline.facts import PipelineFacts, measure
from examples.content_pipeline.generate import SEED, copy, execute, session
from examples.content_pipeline.noise import Noise
from examples.content_pipeline.tables import DOCUMENTS_A_MEGABYTE, TABLES, Size, Table
from holdfast.postgres.url import DatabaseUrl

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812

_COLUMNS = {
    "content.revisions": "id bigint, document_id bigint, number int, author_id bigint, body text, note text, "
    "created_at timestamptz",
    "pipeline.events": "id bigint, occurred_at timestamptz, severity text, name text, document_id bigint, trace uuid, "
    "payload jsonb",
    "pipeline.generations": "id uuid, prompt text, prompt_version int, document_id bigint, input text, output text, "
    "tokens_in int, tokens_out int, cost numeric, took interval, created_at timestamptz",
    "ops.audit": "id bigint, at timestamptz, actor text, relation text, action text, row_key text, changes jsonb",
    "pipeline.jobs": "id bigint, queued_at timestamptz, kind text, state text, document_id bigint, attempts int, payload jsonb, "
    "took interval, error text",
}
_TABLES = tuple(table for table in TABLES if table.name in _COLUMNS)
_SHARE = 0.76
"""Of the sample's rows, these tables hold that part."""
_INDEXES = """
    CREATE INDEX ON content.revisions (document_id, number);
    CREATE INDEX ON pipeline.events (occurred_at);
    CREATE INDEX ON pipeline.events (document_id) WHERE severity = 'error';
    CREATE INDEX ON pipeline.generations (document_id);
    CREATE INDEX ON ops.audit USING brin (at);
    CREATE INDEX ON pipeline.jobs (state, queued_at);
"""
_UPDATED = {
    "content.revisions": "body = overlay(body PLACING md5(body) FROM 1 + length(body) / 2 FOR 20), note = 'corrected'",
    "pipeline.generations": "output = md5(input) || ' ' || coalesce(output, ''), tokens_out = tokens_out + 8",
    "pipeline.jobs": "state = 'done', attempts = attempts + 1, error = NULL",
}
"""What a day changes; events and audit are only ever written."""
_HASHES = 1 << 20


def build(url: DatabaseUrl, megabytes: float, *, seed: int = SEED) -> PipelineFacts:
    """Fill an empty database with so many MiB of rows, as COPY text, and tell what is in it."""
    size = Size(megabytes / _SHARE)
    with closing(session(url)) as connection:
        execute(connection, "CREATE SCHEMA content; CREATE SCHEMA pipeline; CREATE SCHEMA ops")
        for table in _TABLES:
            execute(connection, f"CREATE TABLE {table.name} ({_COLUMNS[table.name]})")
            copy(connection, table, table.maker(Noise(seed, table.name), size))
            execute(connection, f"ALTER TABLE {table.name} ADD PRIMARY KEY (id)")
        execute(connection, _INDEXES)
        execute(connection, "VACUUM (ANALYZE)")
    return measure(url)


def change(
    url: DatabaseUrl, megabytes: float, *, percent_appended: float = 0.0, percent_rows_updated: float = 0.0, seed: int = SEED
) -> None:
    """Append so much of the first size, and update so many of the rows here and there; `megabytes` is what was built."""
    with closing(session(url)) as connection:
        if percent_appended:
            for table in _TABLES:
                _append(connection, table, megabytes / _SHARE, percent_appended / 100, seed)
        threshold = int(percent_rows_updated / 100 * _HASHES)
        for name, columns in _UPDATED.items() if threshold else ():
            execute(
                connection,
                f"UPDATE {name} SET {columns} WHERE hashtextextended(id::text, {seed}) & {_HASHES - 1} < {threshold}",
            )


def _append(connection: Connection, table: Table, megabytes: float, share: float, seed: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT max(id) FROM {table.name}" if _COLUMNS[table.name].startswith("id bigint") else "SELECT 0")
        number = int((cursor.fetchone() or (0,))[0]) + 1
        cursor.execute(f"SELECT count(*) FROM {table.name}")
        rows = int((cursor.fetchone() or (0,))[0])
    size = Size(megabytes * share, int(megabytes * DOCUMENTS_A_MEGABYTE) + 1, max(2, number))
    copy(connection, table, table.maker(Noise(seed, f"{table.name}/{rows}"), size))
