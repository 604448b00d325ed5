"""One moment of a database, held still for all who read it.

Whoever reads imports the snapshot that is exported here, so all see the same rows. A snapshot alone does not hold the tables
still: TRUNCATE and an ALTER TABLE that rewrites take no notice of it, and a table that one of them hits between snapshot and
lock reads as empty, silently. So the order is:

1. List the tables and lock them all in ACCESS SHARE mode, which stops dropping, truncating and altering them and nothing else.
2. Only then take the snapshot: in REPEATABLE READ the first query takes it, and LOCK TABLE is none. Whatever was done to a
   locked table before is committed and seen; nothing more can be done to it.
3. Compare what the snapshot sees with what is really locked, by oid (names may have changed hands meanwhile). What is new
   since 1 is locked now, and then must still lie in the file that the snapshot saw; otherwise begin again.

The locks last as long as the snapshot; pg_dump and the table readers take their own on top. A lock is waited for no longer than
the lock time-out, since whoever queues for a table behind us would wait as long.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import psycopg2
from psycopg2 import errors as pg_errors

from holdfast.errors import HoldfastError, SettingsError, TableLockedError, WorkFailedError
from holdfast.postgres import facts, reading, tables
from holdfast.postgres.connection import ServerVersion, connect, database_error, database_errors, server_version
from holdfast.postgres.tables import Table
from holdfast.postgres.url import DatabaseUrl

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812

OLDEST_MAJOR = 12
_LOCKED_AT_ONCE = 200
_ATTEMPTS = 5

_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# statement_timestamp() is when the server got the statement, so just before the snapshot: all committed until then is in it.
_EXPORT = "SELECT pg_export_snapshot(), statement_timestamp()"
_LOCKED_BY_US = """
SELECT relation::bigint FROM pg_locks
WHERE pid = pg_backend_pid() AND locktype = 'relation' AND granted AND mode = 'AccessShareLock'
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_REWRITTEN = """
SELECT oid::regclass::text FROM pg_class
WHERE oid = ANY (%s::bigint[]::oid[]) AND relkind = 'r' AND relfilenode IS DISTINCT FROM pg_relation_filenode(oid)
"""
_BLOCKERS = """
SELECT l.relation::regclass::text, l.pid, l.granted, coalesce(a.application_name, ''), coalesce(a.usename, '?'),
  coalesce(extract(epoch FROM now() - a.xact_start), 0)::int
FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND c.relkind IN ('r', 'p') AND l.relation >= 16384
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY l.granted DESC, 6 DESC LIMIT 5
"""


class Snapshot:
    """An exported snapshot and the locks that keep it whole; a context manager, to be held open until all is read.

    May be used by several threads at once; they take turns. Raises on entering what `connect` raises, AccessDeniedError for a
    table that may not be read, TableLockedError naming the table and the session that holds it.
    """

    def __init__(self, url: DatabaseUrl, *, lock_timeout_seconds: float = 30) -> None:
        self.url = url
        self.lock_timeout_seconds = lock_timeout_seconds
        self.id = ""
        self.taken_at = datetime.min.replace(tzinfo=UTC)
        self._turn = threading.RLock()
        self._open_connection: Connection | None = None
        self._readers = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def at_close(self, close: Callable[[], None]) -> None:
        """Have something that reads the snapshot closed just before it."""
        self._readers.callback(close)

    def close(self) -> None:
        """End the snapshot and give the locks back."""
        self._readers.close()
        with self._turn:
            if self._open_connection is not None:
                self._open_connection.close()
                self._open_connection = None

    # What is known of the moment

    @cached_property
    def server(self) -> ServerVersion:
        """The server's version."""
        return server_version(self._connection)

    @cached_property
    def database(self) -> dict[str, Any]:
        """The database's own properties (see `facts.database_facts`)."""
        with self._asking("reading the database's properties") as connection:
            return facts.database_facts(connection)

    @cached_property
    def extensions(self) -> list[dict[str, str]]:
        """The extensions: name, version, schema."""
        with self._asking("listing extensions") as connection:
            return facts.extensions(connection)

    @cached_property
    def roles(self) -> list[str]:
        """The roles that the database refers to."""
        with self._asking("listing roles") as connection:
            return facts.roles(connection)

    @cached_property
    def large_objects(self) -> int:
        """How many large objects there are."""
        with self._asking("counting large objects") as connection:
            return facts.large_objects(connection)

    @property
    def client_encoding(self) -> str:
        """The encoding in which names and texts come; LATIN1 stands for bytes where they have no encoding at all."""
        return self._connection.encoding

    def tables(self) -> list[Table]:
        """List all tables, by schema and name."""
        return self._tables

    def streams(self, threshold_bytes: int) -> list[Table]:
        """List the tables that are worth a stream of their own, the largest first."""
        return tables.streams(self._tables, threshold_bytes)

    def countable(self) -> list[Table]:
        """List the tables whose rows a restore must bring back one for one."""
        return list(tables.countable(self._tables, in_recovery=self.database["in_recovery"]))

    def count_rows(self, chosen: Sequence[Table]) -> dict[tuple[str, str], int]:
        """Count rows: (schema, name) → rows."""
        with self._asking("counting rows") as connection:
            return reading.count_rows(connection, chosen)

    def content_hashes(self, chosen: Sequence[Table]) -> dict[tuple[str, str], int]:
        """Compute the order-free hash of each table's rows: (schema, name) → sum."""
        with self._asking("hashing rows") as connection:
            return reading.content_hashes(connection, chosen)

    def statistics_of_others(self) -> bool:
        """Tell whether the planner's statistics hold values of rows that a backup does not hold."""
        with self._asking("looking for statistics") as connection:
            return tables.statistics_of_others(connection)

    def may_read_passwords(self) -> bool:
        """Tell whether the user may read the roles' password hashes."""
        with self._asking("looking at rights") as connection:
            return facts.may_read_passwords(connection)

    def check(self) -> None:
        """Make sure that the snapshot is still there. Raises DatabaseUnreachableError."""
        with self._asking("holding the snapshot") as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    def cancel(self) -> None:
        """Cancel what another thread asks now; it raises."""
        connection = self._open_connection
        if connection is not None:
            with suppress(psycopg2.Error):
                connection.cancel()

    def lock_blockers(self) -> str:
        """Say which sessions hold or await a lock that shuts readers out, for an error's text; empty where none is seen."""
        try:
            with closing(connect(self.url)) as connection, connection.cursor() as cursor:
                cursor.execute(_BLOCKERS)
                return "; ".join(_blocker(row) for row in cursor.fetchall())
        except (psycopg2.Error, HoldfastError):
            return ""  # it would only have explained the error that is under way

    # Taking it

    @cached_property
    def _tables(self) -> list[Table]:
        with self._asking("listing tables") as connection:
            return tables.list_tables(connection)

    @property
    def _connection(self) -> Connection:
        if self._open_connection is None:
            raise ValueError("the snapshot is not open")
        return self._open_connection

    @contextmanager
    def _asking(self, doing: str) -> Iterator[Connection]:
        with self._turn, database_errors(self.url, doing):
            yield self._connection

    def _open(self) -> None:
        self._open_connection = self._connect()
        if self.server.major < OLDEST_MAJOR:
            raise SettingsError(
                f"{self.url.redacted} is PostgreSQL {self.server.text}", reason=f"{OLDEST_MAJOR} is the oldest that is supported"
            )
        with self._connection.cursor() as cursor:
            cursor.execute(reading.reading_settings(self.server.major, self.lock_timeout_seconds))
        for attempts_left in reversed(range(_ATTEMPTS)):
            restless = self._try_to_take()
            if restless is None:
                return
            if not attempts_left:
                raise TableLockedError(
                    "no moment was found at which all tables hold still",
                    reason=restless,
                    next_step="Back up while no tables are dropped, truncated or rewritten all the time",
                )

    def _connect(self) -> Connection:
        connection = connect(self.url)
        if connection.info.parameter_status("server_encoding") != "SQL_ASCII":
            return connection
        try:
            tables.lockable_tables(connection)
            return connection
        except (pg_errors.CharacterNotInRepertoire, pg_errors.UntranslatableCharacter):
            connection.close()  # names that are not UTF-8: take each byte for a letter, so that none is lost
            return connect(self.url, client_encoding="LATIN1")

    def _try_to_take(self) -> str | None:
        """Lock, then look (see above); return why it has to be done again, or None when the snapshot is good."""
        with self._connection.cursor() as cursor:
            try:
                wanted = tables.lockable_tables(self._connection)
                cursor.execute(_BEGIN)
                self._lock(wanted.values())
                cursor.execute(_EXPORT)
                row = cursor.fetchone()
                restless = self._lock_newcomers()
            except psycopg2.errors.UndefinedTable as error:
                restless = str(error).strip()  # dropped between being listed and being locked
            except psycopg2.Error as error:
                raise self._explained(error) from error
            if restless is not None:
                cursor.execute("ROLLBACK")
                return restless
        if row is None:
            raise WorkFailedError("the server exported no snapshot")
        self.id, self.taken_at = row[0], row[1].astimezone(UTC)
        return None

    def _lock(self, names: Iterable[str]) -> None:
        remaining = iter(names)
        with self._connection.cursor() as cursor:
            while batch := list(islice(remaining, _LOCKED_AT_ONCE)):
                cursor.execute(f"LOCK TABLE ONLY {', ONLY '.join(batch)} IN ACCESS SHARE MODE")

    def _lock_newcomers(self) -> str | None:
        """Lock what the snapshot sees and is not locked yet; return what was rewritten before that, if anything."""
        seen = tables.lockable_tables(self._connection)
        with self._connection.cursor() as cursor:
            cursor.execute(_LOCKED_BY_US)
            locked = {oid for (oid,) in cursor.fetchall()}
            newcomers = {oid: name for oid, name in seen.items() if oid not in locked}
            if not newcomers:
                return None
            self._lock(newcomers.values())
            cursor.execute(_LOCKED_BY_US)
            locked = {oid for (oid,) in cursor.fetchall()}
            if renamed := [name for oid, name in newcomers.items() if oid not in locked]:
                return f"{renamed[0]} is now the name of another table"
            cursor.execute(_REWRITTEN, (list(newcomers),))
            rewritten = [name for (name,) in cursor.fetchall()]
            return f"{rewritten[0]} was rewritten" if rewritten else None

    def _explained(self, error: psycopg2.Error) -> HoldfastError:
        if error.pgcode == "53200":
            return WorkFailedError(
                "the server has no room for a lock on each table",
                reason=str(error).strip(),
                next_step="Raise max_locks_per_transaction on the server",
            )
        ours = database_error(error, self.url, "locking the tables against being dropped or altered while they are read")
        if isinstance(ours, TableLockedError):
            ours.reason = self.lock_blockers() or ours.reason
        return ours


def _blocker(row: tuple[Any, ...]) -> str:
    name, pid, granted, application, user, seconds = row
    doing = "holds" if granted else "waits for"
    who = f"session {pid} of {user}" + (f" ({application})" if application else "")
    return f"{who} {doing} an exclusive lock on {name}, its transaction is {seconds} s old"
