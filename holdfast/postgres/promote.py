"""A restored database takes the live one's name, in one transaction; the live one stays, under a name that says when.

No state in between is ever visible. The first rename locks the live database against new connections and then waits for the
present ones to end, which a second connection sees to; when anything fails, or we are killed, the server rolls the renames
back and the live database is what it was. So nothing has to be undone by us.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from datetime import UTC, datetime

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812

from holdfast.errors import BusyError, HoldfastError, NotFoundError, RefusedError
from holdfast.postgres.connection import DatabaseUrl, connect, connect_to_server, database_error, quote_identifier

_NAME_BYTES = 63
_LOCK_TIMEOUT_SECONDS = 30
_TIME = "%Y%m%dT%H%M%SZ"
_KEPT = re.compile(r"(?P<name>.*)(?P<ending>_before_(?P<time>[0-9]{8}T[0-9]{6}Z)(?:_[0-9]+)?)", re.DOTALL)
_END_SESSIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ANY(%s) AND pid <> pg_backend_pid()"
# Whatever was committed before, by a restore that did not wait for the disk, is on it when this transaction is.
DURABLE = "SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'"
_PREPARED = "SELECT count(*) FROM pg_prepared_xacts WHERE database = ANY(%s)"


def promote(live: DatabaseUrl, new: DatabaseUrl, *, then: Sequence[str] = ()) -> str:
    """Give the live database's name to the new one; return the name under which the live one is kept.

    `then` are statements that end the same transaction. Raises BusyError where sessions can't be ended, RefusedError.
    """
    with closing(connect_beside(live, {live.database, new.database})) as connection:
        kept = free_name(connection, live.database, "before", datetime.now(UTC))
        swap(connection, live, [(live.database, kept), (new.database, live.database)], then=then, end_sessions=True)
    return kept


def swap_back(live: DatabaseUrl, kept: str | None, brought: int | None = None) -> str | None:
    """Undo a promote: what was kept gets its name back; return the name under which what had taken that is kept now.

    Without `kept` there was nothing before, and only the name is taken away. None: nothing had the name any more.
    Raises NotFoundError where what was kept is gone, BusyError, RefusedError: also where another database than the one with the
    number `brought` has the name by now.
    """
    with closing(connect_beside(live, {live.database, kept or live.database})) as connection:
        there = _databases(connection)
        if kept is not None and kept not in there:
            raise NotFoundError(
                f"there is no database {kept!r}, so {live.database!r} can't be rolled back", reason="it was renamed or dropped"
            )
        if brought is not None and there.get(live.database, brought) != brought:
            raise RefusedError(
                f"{live.database!r} is another database by now than the one that was brought back, so it was left as it is",
                reason="somebody has put another in its place since",
                next_step="Where it is to make way all the same, rename the databases yourself: ALTER DATABASE … RENAME TO …",
            )
        undone = free_name(connection, live.database, "undone", datetime.now(UTC)) if live.database in there else None
        renames = [] if undone is None else [(live.database, undone)]
        renames += [] if kept is None else [(kept, live.database)]
        swap(connection, live, renames, end_sessions=True)
    return undone


def swap(
    connection: Connection, server: DatabaseUrl, renames: list[tuple[str, str]], *, then: Sequence[str] = (), end_sessions: bool
) -> None:
    """Rename databases in one transaction; with `end_sessions` whoever uses them is disconnected, otherwise that is an error."""
    names = [old for old, _ in renames]
    _refuse_prepared(connection, names)
    with _ending_sessions(server, names) if end_sessions else nullcontext(), connection.cursor() as cursor:
        try:
            cursor.execute("BEGIN")
            cursor.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT_SECONDS}s'")
            cursor.execute(DURABLE)
            for old, new in renames:
                cursor.execute(f"ALTER DATABASE {quote_identifier(old)} RENAME TO {quote_identifier(new)}")
            for statement in then:
                cursor.execute(statement)
            cursor.execute("COMMIT")
        except BaseException as error:
            with suppress(psycopg2.Error):
                cursor.execute("ROLLBACK")
            if isinstance(error, psycopg2.Error):
                raise _explained(error, server, names) from error
            raise


def free_name(connection: Connection, name: str, word: str, moment: datetime) -> str:
    """Return a free name `<name>_<word>_<time>`, cut so that PostgreSQL keeps all of it."""
    taken = _databases(connection)
    for attempt in range(1, 1000):
        ending = f"_{word}_{moment.strftime(_TIME)}" + (f"_{attempt}" if attempt > 1 else "")
        free = name.encode()[: _NAME_BYTES - len(ending)].decode(errors="ignore") + ending
        if free not in taken:
            return free
    raise RefusedError(f"there are a thousand databases kept from {word} {name!r} already")


def kept_since(live: DatabaseUrl, moment: datetime) -> str | None:
    """Name what the first promote since a moment kept, or None; the names say when, to the second."""
    with closing(connect_beside(live, {live.database})) as connection:
        there = _databases(connection)
    found = [(when, name) for name in there if (when := _kept_at(live.database, name)) is not None]
    return next((name for when, name in sorted(found) if when >= moment.replace(microsecond=0)), None)


def _kept_at(name: str, other: str) -> datetime | None:
    """Say when a promote of this database kept the other; None where it is no such name."""
    parts = _KEPT.fullmatch(other)
    if parts is None or name.encode()[: _NAME_BYTES - len(parts["ending"])].decode(errors="ignore") != parts["name"]:
        return None
    return datetime.strptime(parts["time"], _TIME).replace(tzinfo=UTC)


def connect_beside(server: DatabaseUrl, names: Collection[str]) -> Connection:
    """Connect to a database of the server that is none of these, for no database can be renamed from within."""
    return connect(server.with_database("template1")) if "postgres" in names else connect_to_server(server)


def number_of(url: DatabaseUrl) -> int | None:
    """Tell the number by which its server knows a database whatever its name becomes; None where it is not there."""
    with closing(connect_beside(url, {url.database})) as connection:
        return _databases(connection).get(url.database)


def _databases(connection: Connection) -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT datname, oid::bigint FROM pg_database")
        return dict(cursor.fetchall())


def _refuse_prepared(connection: Connection, names: list[str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_PREPARED, (names,))
        row = cursor.fetchone()
    if row and row[0]:
        raise RefusedError(
            f"{' and '.join(names)} can't be renamed",
            reason=f"{row[0]} prepared transactions are waiting there",
            next_step="Commit them or roll them back (see pg_prepared_xacts), then try again",
        )


@contextmanager
def _ending_sessions(server: DatabaseUrl, names: list[str]) -> Iterator[None]:
    """End all sessions in these databases, again and again, until the rename beside us is through."""
    done = threading.Event()
    connection = connect_beside(server, names)

    def end_them() -> None:
        with suppress(psycopg2.Error), connection.cursor() as cursor:
            while not done.wait(0.05):
                cursor.execute(_END_SESSIONS, (names,))

    thread = threading.Thread(target=end_them, name="holdfast-promote", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        connection.close()


def _explained(error: psycopg2.Error, server: DatabaseUrl, names: list[str]) -> HoldfastError:
    if error.pgcode == "55006":  # object_in_use
        return BusyError(
            f"the database {names[0]!r} is in use and could not be renamed; nothing was changed",
            reason=error.diag.message_detail or error.diag.message_primary,
            next_step="Stop the sessions that are connected to it, then try again",
        )
    if error.pgcode == "42P04":  # duplicate_database
        return RefusedError("a database of that name appeared meanwhile; nothing was changed", reason=error.diag.message_primary)
    return database_error(error, server, "renaming the databases")
