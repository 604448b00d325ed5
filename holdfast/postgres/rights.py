"""Which rights a backup's user lacks in a database: what it may not read would end a backup, hours after it began."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.postgres.connection import rows_of

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812

# What an extension made is dumped by the extension's own word; row-level security ends pg_dump even where SELECT is granted.
_UNREADABLE = """
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'S', 'm') AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
  AND (NOT has_schema_privilege(n.oid, 'USAGE')
    OR NOT CASE c.relkind WHEN 'S' THEN has_sequence_privilege(c.oid, 'SELECT') ELSE has_table_privilege(c.oid, 'SELECT') END
    OR row_security_active(c.oid))
ORDER BY 1
"""


def unreadable(connection: Connection) -> list[str]:
    """Name the tables, sequences and materialized views that the connection's user may not read all of."""
    return [name for (name,) in rows_of(connection, _UNREADABLE)]
