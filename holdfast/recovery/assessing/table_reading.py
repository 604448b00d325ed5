"""Every row of every table read once, so that what can't be read shows. Nothing is kept of the rows but how many there are.

A table that is locked, or that we may not read, is not damaged: it is named among what was not read. So is what there was no time
for; the small tables come first. What seems damaged is read once more: a disk that failed for a moment is no damage. What the
server has in memory is not read from its disk again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg2

from holdfast.postgres.connection import masked, qualified, rows_of
from holdfast.recovery.assessing.connecting import cut_off
from holdfast.recovery.assessing.damage import damage_in

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812

    from holdfast.postgres.url import DatabaseUrl
    from holdfast.recovery.deadline import Deadline

Connect = Callable[[], AbstractContextManager["Connection"]]

_CUT_OFF_AFTER_SECONDS = 10.0  # beyond what the server itself was given
_MOST_LOSSES = 3  # of connections: a server that breaks down again and again is not asked further

# System tables hold what tells a table from noise; large objects are among them.
_STORED = """
SELECT n.nspname::text, c.relname::text, n.nspname IN ('pg_catalog', 'information_schema') AS is_system
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_(toast|temp)'
  AND NOT (c.relkind = 'm' AND NOT c.relispopulated) AND NOT (c.relpersistence = 'u' AND pg_is_in_recovery())
  AND (n.nspname NOT IN ('pg_catalog', 'information_schema') OR has_table_privilege(c.oid, 'select'))
ORDER BY n.nspname <> 'pg_catalog', c.relpages, 1, 2
"""
_GONE = frozenset({"42P01", "3F000"})  # dropped since it was listed
_REASONS = {
    "55P03": "it is locked by another session",
    "57014": "it could not be read in the time that there was",
    "42501": "we may not read it",
    "42704": "we may not read it",
}


@dataclass(slots=True)
class Reading:
    """What came of it, by `schema.table`: rows of the user's tables, what is damaged and how, what was not read and why."""

    rows: dict[str, int] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)
    not_read: dict[str, str] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    """Tables at which the server broke the connection off."""
    locked: list[str] = field(default_factory=list)
    suspects: list[StoredTable] = field(default_factory=list)
    """What seemed damaged when it was read first."""


@dataclass(frozen=True, slots=True)
class StoredTable:
    """A table or materialized view with rows of its own."""

    schema: str
    name: str
    is_system: bool

    @property
    def group(self) -> str:
        """What it is called where only many of its kind matter."""
        return "system tables" if self.is_system else str(self)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


class _Counter:
    """Takes what COPY sends, a row at a time, and keeps only the number."""

    rows = 0

    def write(self, row: bytes) -> int:
        self.rows += 1
        return len(row)


def read_tables(connect: Connect, url: DatabaseUrl, deadline: Deadline) -> Reading:
    """Read all tables until the deadline. Raises HoldfastError where the server can't be connected to any more."""
    found = Reading()
    waiting: Iterator[StoredTable] | None = None
    while len(found.lost) < _MOST_LOSSES:
        with connect() as connection:
            if waiting is None:
                waiting = iter([StoredTable(*row) for row in rows_of(connection, _STORED)])
            if _read_on(connection, waiting, found, url, deadline):
                break
    found.not_read |= {table.group: "the server broke the connection off too often" for table in waiting or ()}
    if found.suspects and not found.lost:
        with connect() as connection:
            _read_again(connection, found, url, deadline)
    return found


def _read_on(
    connection: Connection, waiting: Iterator[StoredTable], found: Reading, url: DatabaseUrl, deadline: Deadline
) -> bool:
    """Read table by table; return False where the connection was lost."""
    for table in waiting:
        if deadline.seconds_left < 1:
            found.not_read[table.group] = _REASONS["57014"]
            continue
        try:
            rows = _rows_in(connection, table, deadline)
        except psycopg2.Error as error:
            _note(error, table, found, url)
            if connection.closed:
                found.lost.append(str(table))
                return False
        else:
            if not table.is_system:
                found.rows[str(table)] = rows
    return True


def _read_again(connection: Connection, found: Reading, url: DatabaseUrl, deadline: Deadline) -> None:
    """Read again what seemed damaged; what is whole now is no longer said to be."""
    for table in found.suspects:
        if deadline.seconds_left < 1 or connection.closed:
            return
        try:
            rows = _rows_in(connection, table, deadline)
        except psycopg2.Error as error:
            found.damaged[str(table)] = masked(damage_in(error) or found.damaged[str(table)], url)
        else:
            said = found.damaged.pop(str(table))
            if not table.is_system:
                found.rows[str(table)] = rows
            found.not_read[table.group] = f"it could not be read at first, and could a moment later: {said}"


def _rows_in(connection: Connection, table: StoredTable, deadline: Deadline) -> int:
    counter, seconds = _Counter(), deadline.seconds_left
    with connection.cursor() as cursor, cut_off(connection, seconds + _CUT_OFF_AFTER_SECONDS):
        cursor.execute(f"SET statement_timeout = {int(seconds * 1000)}")
        relation = qualified(table.schema, table.name)
        # A materialized view can't be copied by its name.
        cursor.copy_expert(f"COPY (SELECT * FROM ONLY {relation}) TO STDOUT", counter)  # noqa: S608  it is quoted
    return counter.rows


def _note(error: psycopg2.Error, table: StoredTable, found: Reading, url: DatabaseUrl) -> None:
    if damage := damage_in(error):
        found.damaged[str(table)] = masked(damage, url)
        found.suspects.append(table)
    elif error.pgcode == "55P03":
        found.locked.append(str(table))
        found.not_read[table.group] = _REASONS["55P03"]
    elif error.pgcode not in _GONE:
        said = masked(str(error).strip().partition("\n")[0], url)
        found.not_read[table.group] = _REASONS.get(error.pgcode or "", said)
