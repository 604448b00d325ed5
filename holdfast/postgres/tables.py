"""The tables of a database, as one snapshot sees them.

System schemas and other sessions' temporary tables are none of ours. What belongs to an extension is made by CREATE EXTENSION
again, so pg_dump decides about it alone. Names also come as the server stores them (in the database's encoding), because
psql and pg_dump must be given them so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812

MOST_STREAMS = 1000  # each is an argument of pg_dump, and a lock of every reader

_OURS = "c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"

# Children of an extension that has them configured are dumped (in part), the others are not looked at by pg_dump.
_LOCKABLE = f"""
SELECT c.oid::bigint, quote_ident(n.nspname) || '.' || quote_ident(c.relname)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND {_OURS} AND NOT EXISTS (
  SELECT FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_extension'::regclass
    AND d.deptype = 'e' AND NOT coalesce(c.oid = ANY (e.extconfig), false))
ORDER BY 1
"""  # noqa: S608  nothing from outside is in it

# A leaf below a hash partition key of an enum type: its rows may belong to another leaf after a restore (see pg_dump's
# forcePartitionRootLoad), so it is neither streamed nor counted by itself.
_MOVING = """
  c.relispartition AND EXISTS (
    SELECT FROM pg_partition_ancestors(c.oid) AS above(id)
    JOIN pg_partitioned_table AS p ON p.partrelid = above.id, unnest(p.partclass) AS class
    JOIN pg_opclass AS o ON o.oid = class
    WHERE p.partstrat = 'h' AND o.opcname = 'enum_ops')
"""

_TABLES = f"""
SELECT c.oid::bigint, n.nspname::text, c.relname::text, c.relkind::text, c.relpersistence = 'u', c.relispartition,
  greatest(c.reltuples, 0)::bigint,
  CASE WHEN c.relkind = 'r' THEN coalesce(pg_table_size(c.oid), 0) ELSE 0 END,
  e.extname::text,
  {_MOVING},
  CASE WHEN c.relispartition THEN pg_partition_root(c.oid)::oid::bigint END,
  coalesce(a.names, '{{}}'),
  convert_to(quote_ident(n.nspname) || '.' || quote_ident(c.relname), getdatabaseencoding()),
  convert_to(coalesce(a.quoted, ''), getdatabaseencoding())
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
  AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
LEFT JOIN pg_extension AS e ON e.oid = d.refobjid
LEFT JOIN LATERAL (
  SELECT array_agg(attname::text ORDER BY attnum) AS names, string_agg(quote_ident(attname), ', ' ORDER BY attnum) AS quoted
  FROM pg_attribute
  WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND c.relkind = 'r') AS a ON true
WHERE c.relkind IN ('r', 'p', 'm', 'f') AND {_OURS}
ORDER BY n.nspname, c.relname
"""  # noqa: S608  nothing from outside is in it

_MEMBER = """EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
  AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e')"""

# No backup holds the rows of foreign tables, of materialized views that are not filled, and on a standby of unlogged tables. Nor
# may statistics tell of them: neither their own, nor those of what inherits rows from them or is a view of them, at any remove.
# The same goes for an extension's own tables, whose own statistics pg_dump leaves out by itself.
_OTHERS = f"""
WITH RECURSIVE passed_on (source, target) AS (
  SELECT inhrelid, inhparent FROM pg_inherits
  UNION ALL
  SELECT d.refobjid, r.ev_class FROM pg_depend AS d JOIN pg_rewrite AS r ON r.oid = d.objid
  WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass),
others (oid) AS (
  SELECT c.oid FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  WHERE {_OURS} AND (c.relkind = 'f' OR (c.relkind = 'm' AND NOT c.relispopulated)
    OR (c.relkind = 'r' AND c.relpersistence = 'u' AND pg_is_in_recovery())
    OR (c.relkind = 'r' AND {_MEMBER}))
  UNION
  SELECT p.target FROM others AS o JOIN passed_on AS p ON p.source = o.oid),
told (oid) AS (SELECT c.oid FROM others AS o JOIN pg_class AS c ON c.oid = o.oid WHERE NOT {_MEMBER})
SELECT coalesce(array_agg(n.nspname::text), '{{}}'), coalesce(array_agg(c.relname::text), '{{}}')
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid IN (SELECT oid FROM told UNION ALL
  SELECT i.indexrelid FROM pg_index AS i JOIN told AS t ON t.oid = i.indrelid)
"""  # noqa: S608  nothing from outside is in it
_HAVE_STATISTICS = """
SELECT EXISTS (SELECT FROM unnest(%s::text[], %s::text[]) AS others (schema, name)
  JOIN pg_stats AS s ON s.schemaname = others.schema AND s.tablename = others.name)
"""


@dataclass(frozen=True, slots=True)
class Table:
    """A relation that holds rows, or partitions that do.

    `kind` is PostgreSQL's relkind: `r` table or leaf partition, `p` partitioned table, `m` materialized view, `f` foreign table.
    `size_bytes` is the table with what it keeps out of line, without indexes; `columns` are those that COPY can fill.
    """

    oid: int
    schema: str
    name: str
    kind: Literal["r", "p", "m", "f"]
    unlogged: bool
    is_partition: bool
    row_estimate: int
    size_bytes: int
    extension: str | None
    rows_move: bool
    partition_root: int | None
    columns: tuple[str, ...]
    stored_name: bytes
    stored_columns: bytes

    @property
    def key(self) -> tuple[str, str]:
        return (self.schema, self.name)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


def lockable_tables(connection: Connection) -> dict[int, str]:
    """Find the tables that pg_dump will lock: oid → quoted name."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCKABLE)
        return dict(cursor.fetchall())


def list_tables(connection: Connection) -> list[Table]:
    """Find all tables, by schema and name."""
    with connection.cursor() as cursor:
        cursor.execute(_TABLES)
        return [_table(row) for row in cursor.fetchall()]


def streams(tables: Sequence[Table], threshold_bytes: int) -> list[Table]:
    """Pick the tables that are worth a stream of their own, the largest first."""
    fitting = (table for table in tables if table.size_bytes >= threshold_bytes and _can_be_streamed(table))
    return sorted(fitting, key=lambda table: table.size_bytes, reverse=True)[:MOST_STREAMS]


def countable(tables: Sequence[Table], *, in_recovery: bool = False) -> Iterator[Table]:
    """Pick the tables whose rows a restore must bring back one for one.

    Not: materialized views (a restore refreshes them), foreign tables (their rows are elsewhere), an extension's own. Where
    rows may move between partitions, their root stands for them. A standby can't read unlogged tables.
    """
    roots = {table.partition_root for table in tables if table.rows_move}
    for table in tables:
        own_rows = table.kind == "r" and not table.rows_move and not (table.unlogged and in_recovery)
        if table.extension is None and (own_rows or table.oid in roots):
            yield table


def statistics_of_others(connection: Connection) -> bool:
    """Tell whether statistics that pg_dump would write hold values of rows that a backup does not hold.

    Where the user may not look at them, neither may pg_dump, so they are taken for such.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT has_table_privilege('pg_catalog.pg_stats', 'SELECT')")
        if not cursor.fetchall()[0][0]:
            return True
        cursor.execute(_OTHERS)
        schemas, names = cursor.fetchall()[0]
        if names:
            cursor.execute(_HAVE_STATISTICS, (schemas, names))
            return bool(cursor.fetchall()[0][0])
    return False


def _can_be_streamed(table: Table) -> bool:
    return table.kind == "r" and table.extension is None and bool(table.columns) and not table.rows_move and not table.unlogged


def _table(row: tuple[Any, ...]) -> Table:
    *values, columns, stored_name, stored_columns = row
    return Table(*[*values, tuple(columns), bytes(stored_name), bytes(stored_columns)])
