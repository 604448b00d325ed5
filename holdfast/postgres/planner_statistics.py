"""The planner's statistics that come with a backup: set once all else is made. Only what lacks some then is analyzed.

pg_dump writes those of a relation as statements, the first of which says how many pages and rows it had. That one is left out,
for the target's files are new: a table that was half empty at the source would be taken for one of half its rows. Statistics that
the server takes in part or not at all leave nothing behind, so that their table counts as one that never had any.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812

from holdfast.postgres.truth import TableTruth

SINCE_MAJOR = 18
"""pg_dump writes statistics from this version on, and a server takes them."""
_LOCKED_AT_ONCE = 200
# Smaller tables are read sooner than what is known of them is set: docs/decisions/0012-restore-speed.md has the figures.
_WORTH_BYTES = 128 << 10
_SAMPLED_BYTES = 4 << 20  # a larger table takes ANALYZE hardly longer: it reads a sample
_RANGES_SINCE_MAJOR = 17  # before, pg_stats does not show what is known of ranges, and pg_dump reads that view

# Outside of a pair of quotes, only its end has a bracket that closes; names are the only texts in it.
_OF_THE_RELATION = re.compile(rb"\ASELECT \* FROM pg_catalog\.pg_restore_relation_stats\((?:[^']|'[^']*')*?\);\n")

# What the server refuses it would write to its log, with the whole statement. Not everybody may tell it not to.
_QUIET = "SELECT set_config('log_min_messages', 'fatal', false) WHERE has_parameter_privilege('log_min_messages', 'SET');"

# These are asked where search_path is empty, so that names are those of the catalog.
_TABLES = """
SELECT c.oid, n.nspname, c.relname, c.relkind, c.relhassubclass, pg_relation_size(c.oid) AS size_bytes,
  quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS quoted
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm', 'p') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""

# What should have statistics and has none, by name. EXCEPT, for a join with the view may take a time for each pair of columns.
# What an extension gathers of its own types no view shows, so no archive has it. The view tells what its reader may read: of what
# it hides, statistics are gathered once more. An index has those of its expressions.
_LACKING = f"""
WITH tables AS MATERIALIZED ({_TABLES}),
holders AS MATERIALIZED (
  SELECT oid, nspname, relname, false AS inherited, NULL::int2vector AS keys FROM tables WHERE size_bytes > 0
  UNION ALL
  SELECT oid, nspname, relname, true, NULL FROM tables WHERE relkind = 'p' OR relhassubclass
  UNION ALL
  SELECT c.oid, t.nspname, c.relname, false, i.indkey
  FROM tables AS t JOIN pg_index AS i ON i.indrelid = t.oid JOIN pg_class AS c ON c.oid = i.indexrelid
  WHERE t.size_bytes > 0 AND i.indexprs IS NOT NULL),
columns AS MATERIALIZED (
  SELECT h.nspname, h.relname, a.attname, h.inherited, a.atttypid
  FROM holders AS h JOIN pg_attribute AS a ON a.attrelid = h.oid
  WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated <> 'v' AND a.attstattarget IS DISTINCT FROM 0
    AND (h.keys IS NULL OR h.keys[a.attnum - 1] = 0))
SELECT nspname::text, relname::text FROM (
  SELECT nspname, relname, attname, inherited FROM columns
  EXCEPT
  SELECT schemaname, tablename, attname, inherited FROM pg_stats) AS missing
UNION
SELECT nspname::text, relname::text FROM columns JOIN pg_type AS t ON t.oid = atttypid
WHERE t.typanalyze::oid >= 16384
  OR (%s AND t.typanalyze IN ('range_typanalyze'::regproc, 'multirange_typanalyze'::regproc))
"""  # noqa: S608  nothing from outside is in it

_ANALYZABLE = f"""
SELECT t.quoted, t.nspname::text, t.relname::text, ARRAY(
    SELECT c.relname::text FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE i.indrelid = t.oid AND i.indexprs IS NOT NULL),
  e.stxrelid IS NOT NULL AND (t.size_bytes > 0 OR t.relkind = 'p'), e.columns
FROM ({_TABLES}) AS t LEFT JOIN (
  SELECT s.stxrelid, string_agg(DISTINCT quote_ident(a.attname), ', ') AS columns
  FROM pg_statistic_ext AS s LEFT JOIN pg_attribute AS a ON a.attrelid = s.stxrelid AND a.attnum = ANY (s.stxkeys)
  WHERE s.stxstattarget IS DISTINCT FROM 0
  GROUP BY s.stxrelid) AS e ON e.stxrelid = t.oid
ORDER BY t.size_bytes DESC
"""  # noqa: S608  nothing from outside is in it

# Where an index was made, the server has counted already.
_SIZES = """
SELECT pg_restore_relation_stats(
  'schemaname', n.nspname::text, 'relname', c.relname::text, 'relpages', pages, 'reltuples', restored.rows::real,
  'relallvisible', CASE WHEN restored.frozen THEN pages ELSE 0 END)
FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::boolean[]) AS restored (schema, name, rows, frozen)
JOIN pg_namespace AS n ON n.nspname = restored.schema
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = restored.name,
LATERAL (SELECT (pg_relation_size(c.oid) / current_setting('block_size')::bigint)::integer AS pages) AS _
WHERE c.relkind = 'r' AND c.reltuples < 0 AND pages > 0
"""


def worth_setting(connection: Connection) -> bool:
    """Tell whether it would take longer to analyze all tables, as large as they are on average."""
    average = f"SELECT coalesce(avg(least(size_bytes, {_SAMPLED_BYTES})), 0) FROM ({_TABLES}) AS t WHERE size_bytes > 0"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(average)
        return bool(cursor.fetchall()[0][0] >= _WORTH_BYTES)


def set_statistics(
    connection: Connection, session: Iterable[str], statements: Iterable[bytes], *, check: Callable[[], None]
) -> int:
    """Set what the statements say of columns; return how many were refused or empty. Raises psycopg2.Error when it is gone.

    `session` is what the archive says of its texts' encoding; after it, only bytes are to be sent. `check` raises where the work
    is to stop. What the server says of a refusal may quote rows, and is not kept.
    """
    refused, settling = 0, b""
    with connection.cursor() as cursor:
        cursor.execute("SET client_min_messages = warning; SET escape_string_warning = off;" + _QUIET + "".join(session))
        for text in statements:
            check()
            refused += not text
            if of_columns := _OF_THE_RELATION.sub(b"", text, count=1):
                taken = _is_taken(connection, settling + b"BEGIN;" + of_columns)
                refused += not taken
                settling = b"COMMIT;" if taken else b"ROLLBACK;"  # goes with what comes next: one answer to wait for, not two
        if settling:
            cursor.execute(settling)
    return refused


def _is_taken(connection: Connection, text: bytes) -> bool:
    """Tell whether the server takes all of one relation's statistics; the transaction stays open."""
    del connection.notices[:]
    with connection.cursor() as cursor:
        try:
            cursor.execute(text)
        except psycopg2.Error:
            if connection.closed:
                raise
            return False
    return not connection.notices  # the server only warns of what it leaves out


def note_sizes(connection: Connection, tables: Sequence[TableTruth]) -> None:
    """Tell the server how many rows and pages there are in tables where it has not counted itself."""
    with connection.cursor() as cursor:
        for start in range(0, len(tables), _LOCKED_AT_ONCE):
            some = tables[start : start + _LOCKED_AT_ONCE]
            names = [one.schema for one in some], [one.name for one in some]
            cursor.execute(_SIZES, (*names, [one.rows for one in some], [one.entry is not None for one in some]))


def analyze_all(connection: Connection) -> list[str]:
    """Write the statements that gather all statistics, the largest table's first."""
    major = connection.server_version // 10000
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT quoted, relkind = 'p' FROM ({_TABLES}) AS t ORDER BY size_bytes DESC")  # noqa: S608
        if major >= SINCE_MAJOR:
            return [_analyze(table) for table, _ in cursor.fetchall()]
        # ANALYZE of a partitioned table would read all partitions again.
        return [f"ANALYZE {table}" for table, partitioned in cursor.fetchall() if not partitioned]


def analyze_lacking(connection: Connection, source_major: int) -> list[str]:
    """Write the statements that gather the statistics that are not there, the largest table's first.

    What is kept of several columns together (CREATE STATISTICS) no archive has: it is gathered from those columns alone.
    """
    found = []
    with connection.cursor() as cursor:
        cursor.execute(_LACKING, (source_major < _RANGES_SINCE_MAJOR,))
        lacking = set(cursor.fetchall())
        cursor.execute(_ANALYZABLE)
        for table, schema, name, indexes, extended, columns in cursor.fetchall():
            if any((schema, one) in lacking for one in (name, *indexes)):
                found.append(_analyze(table))
            elif extended:
                found.append(_analyze(table, columns))
    return found


def _analyze(table: str, columns: str | None = None) -> str:
    """Write one statement; partitions and children are not analyzed with their parent, for each has a statement of its own."""
    return f"ANALYZE ONLY {table}{f' ({columns})' if columns else ''}"
