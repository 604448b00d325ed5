"""One look at a live database, without judging it: what it answered, how fast, and what could be read of it.

Quick: a connection, a small query, who waits, the counted failures of checksums, and the names of all tables beside those of
the newest good backup. Thorough: all of that, then every row, and every index where amcheck is installed.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg2

from holdfast import figures
from holdfast.postgres.connection import masked, rows_of
from holdfast.recovery.assessing.completeness import Completeness, compare_with_backup
from holdfast.recovery.assessing.connecting import cut_off, looking
from holdfast.recovery.assessing.damage import damage_in
from holdfast.recovery.assessing.structures import Structures, check_structures
from holdfast.recovery.assessing.table_reading import Reading, read_tables
from holdfast.recovery.deadline import Deadline
from holdfast.repository import canonical

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812

    from holdfast.postgres.url import DatabaseUrl
    from holdfast.recovery.world import World

Json = dict[str, Any]

_SHARE_FOR_READING = 0.7  # of the time that there is
_SHARE_FOR_ASKING = 0.5
_LEAST_STATEMENT_SECONDS = 10.0
_MOST_NAMED = 20

_SMALL = "SELECT n.nspname::text, c.relname::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
_CHECKSUMS = """
SELECT checksum_failures, checksum_last_failure, current_setting('data_checksums'), pg_is_in_recovery()
FROM pg_stat_database WHERE datname = current_database()
"""
_LONGEST_WAIT = """
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - query_start)), 0)::float
FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
"""


@dataclass(slots=True)
class DatabaseLook:
    """What was seen. `evidence` holds figures, names and times, and no row and no statement."""

    evidence: Json = field(default_factory=dict)
    held_up: str | None = None
    """Why it counts as slow."""
    damage: str | None = None
    """What the server said where not even its catalog can be read."""
    failures: int = 0
    """Failures of checksums that were counted since the newest good backup, which has read all tables."""
    complete: Completeness = field(default_factory=lambda: Completeness(not_compared="it was not looked at"))
    reading: Reading | None = None
    structures: Structures = field(default_factory=Structures)

    def document(self) -> Json:
        """Give all that was seen as a verdict's evidence."""
        reading, found = self.reading, self.evidence | self.complete.document()
        if reading is None:
            return found
        found |= {"tables": len(reading.rows), "rows": sum(reading.rows.values()), "structures": self.structures.document()}
        if damaged := reading.damaged | self.structures.heaps:
            found["damaged"] = dict(list(damaged.items())[:_MOST_NAMED])
        if reading.not_read:
            found["notRead"] = dict(list(reading.not_read.items())[:_MOST_NAMED])
        if fewer := self.complete.fewer(reading.rows):
            found["fewerRows"] = fewer
        return found


def look_at_database(world: World, url: DatabaseUrl, deadline: Deadline, *, thorough: bool) -> DatabaseLook:
    """Look. Raises what `connect` raises, and psycopg2.Error where the server breaks off."""
    look = DatabaseLook()
    slow = world.settings.slow_seconds
    statement_seconds = min(max(_LEAST_STATEMENT_SECONDS, 2 * slow), max(1.0, deadline.seconds_left * _SHARE_FOR_ASKING))
    began = time.monotonic()
    with looking(url, deadline, statement_seconds=statement_seconds) as connection, cut_off(connection, 1.5 * statement_seconds):
        present = _ask_small(connection, url, look, began, slow)
    if present is not None:
        look.complete = compare_with_backup(world, url, present)
        _count_new_failures(look)
        if thorough:
            _read_all(url, look, deadline)
    return look


def _ask_small(
    connection: Connection, url: DatabaseUrl, look: DatabaseLook, began: float, slow_seconds: float
) -> set[tuple[str, str]] | None:
    """List what is there, and see how long that took and who waits; None where not even that was answered."""
    connected = time.monotonic()
    try:
        present = {(str(schema), str(name)) for schema, name in rows_of(connection, _SMALL)}
        asked = time.monotonic()
        look.evidence |= {"connectSeconds": round(connected - began, 3), "querySeconds": round(asked - connected, 3)}
        _note_checksums(connection, look)
        waited = float(rows_of(connection, _LONGEST_WAIT)[0][0])
    except psycopg2.Error as error:
        if connection.closed:
            raise
        _note_refusal(look, error, url)
        return None
    if (longest := max(connected - began, asked - connected)) > slow_seconds:
        look.held_up = f"a small query took {figures.duration(longest)}"
    elif waited > slow_seconds:
        look.held_up = f"a session has waited for a lock for {figures.duration(waited)}"
    return present


def _note_checksums(connection: Connection, look: DatabaseLook) -> None:
    for failures, last_at, checksums, standby in rows_of(connection, _CHECKSUMS):
        look.evidence |= {"checksums": checksums, "standby": standby}
        if failures:
            look.failures = failures
            look.evidence["checksumFailures"] = {"count": failures, "lastAt": canonical.time_text(last_at.astimezone(UTC))}


def _note_refusal(look: DatabaseLook, error: psycopg2.Error, url: DatabaseUrl) -> None:
    """Tell a catalog that is damaged from one that is locked. Raises what is neither."""
    if damage := damage_in(error):
        look.damage = masked(damage, url)
    elif error.pgcode in {"57014", "55P03"}:
        look.held_up = "a small query did not end in its time"
    else:
        raise error


def _count_new_failures(look: DatabaseLook) -> None:
    backup = look.complete.reference if look.complete.rows else None
    if look.failures and backup is not None:
        last_at: datetime = canonical.time_from(look.evidence["checksumFailures"]["lastAt"])
        if last_at < backup.manifest.snapshot_at:
            look.failures = 0


def _read_all(url: DatabaseUrl, look: DatabaseLook, deadline: Deadline) -> None:
    share = Deadline(deadline.seconds_left * _SHARE_FOR_READING, "Reading all tables")

    def connect() -> AbstractContextManager[Connection]:
        return looking(url, deadline, statement_seconds=_LEAST_STATEMENT_SECONDS)

    look.reading = read_tables(connect, url, share)
    with connect() as connection:
        look.structures = check_structures(connection, share, url)
