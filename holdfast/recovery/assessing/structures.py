"""Indexes and heaps looked at by amcheck, PostgreSQL's own extension for it, where the database has it.

It is never installed for this: that would change the live database.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg2

from holdfast.postgres.connection import masked, quote_identifier, rows_of
from holdfast.recovery.assessing.connecting import cut_off
from holdfast.recovery.assessing.damage import damage_in

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812

    from holdfast.postgres.url import DatabaseUrl
    from holdfast.recovery.deadline import Deadline

Json = dict[str, Any]

_CUT_OFF_AFTER_SECONDS = 10.0
_INSTALLED_IN = """
SELECT n.nspname::text, EXISTS (SELECT FROM pg_proc WHERE proname = 'verify_heapam' AND pronamespace = n.oid)
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'amcheck'
"""
_INDEXES = """
SELECT n.nspname || '.' || t.relname, c.relname::text, c.oid::bigint
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_class AS t ON t.oid = i.indrelid
JOIN pg_am AS a ON a.oid = c.relam JOIN pg_namespace AS n ON n.oid = t.relnamespace
WHERE a.amname = 'btree' AND c.relkind = 'i' AND c.relpersistence = 'p' AND i.indisready AND i.indisvalid ORDER BY c.relpages
"""
_HEAPS = """
SELECT n.nspname || '.' || c.relname, NULL, c.oid::bigint
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND c.relpersistence = 'p' ORDER BY c.relpages
"""
_GONE = frozenset({"42P01", "42704", "XX000"})  # XX000: there is no relation of this number any more


@dataclass(slots=True)
class Structures:
    """What was found: damage by `schema.table`, and of indexes alone by `schema.table (index name)`."""

    installed: bool = False
    looked_at: int = 0
    heaps: dict[str, str] = field(default_factory=dict)
    indexes: dict[str, str] = field(default_factory=dict)
    not_looked_at: list[str] = field(default_factory=list)

    @property
    def tables(self) -> set[str]:
        """The tables that are damaged, or have an index that is."""
        return {*self.heaps, *(name.partition(" (index ")[0] for name in self.indexes)}

    def document(self) -> Json:
        """Describe it for a verdict's evidence."""
        if not self.installed:
            return {"amcheck": "not installed, so indexes were not looked at"}
        return {"amcheck": "used", "lookedAt": self.looked_at, "notLookedAt": self.not_looked_at, "indexes": self.indexes}


def check_structures(connection: Connection, deadline: Deadline, url: DatabaseUrl) -> Structures:
    """Check all indexes and heaps until the deadline. Raises psycopg2.Error where the connection is lost."""
    found = Structures()
    check = _Check(connection, deadline, url, found)
    for schema, knows_heaps in rows_of(connection, _INSTALLED_IN):
        found.installed = True
        ours = quote_identifier(schema)
        for table, index, oid in rows_of(connection, _INDEXES):
            check.look(f"{table} (index {index})", f"SELECT {ours}.bt_index_check({oid}::regclass, true)", found.indexes)
        for table, _, oid in rows_of(connection, _HEAPS) if knows_heaps else []:
            statement = f"SELECT msg FROM {ours}.verify_heapam({oid}::regclass, on_error_stop := true)"  # noqa: S608  a number
            check.look(table, statement, found.heaps)
    return found


@dataclass(frozen=True, slots=True)
class _Check:
    """Asks amcheck, one thing at a time."""

    connection: Connection
    deadline: Deadline
    url: DatabaseUrl
    found: Structures

    def look(self, name: str, statement: str, damaged: dict[str, str]) -> None:
        """Have one thing looked at, and note what comes of it."""
        if self.deadline.seconds_left < 1:
            self.found.not_looked_at.append(name)
            return
        try:
            said = self._asked(statement)
        except psycopg2.Error as error:
            if self.connection.closed:
                raise
            said = damage_in(error)
            if said is None and error.pgcode not in _GONE:
                self.found.not_looked_at.append(name)
                return
        self.found.looked_at += 1
        if said:
            damaged[name] = masked(said, self.url)

    def _asked(self, statement: str) -> str | None:
        seconds = self.deadline.seconds_left
        with self.connection.cursor() as cursor, cut_off(self.connection, seconds + _CUT_OFF_AFTER_SECONDS):
            cursor.execute(f"SET statement_timeout = {int(seconds * 1000)}")
            cursor.execute(statement)
            return next((str(row[0]) for row in cursor.fetchall() if row[0]), None)
