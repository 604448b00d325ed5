"""A short-lived connection to look at a database by, and what it means where there is none.

It reads only, waits for nothing long, and is cut off where the server says nothing any more: one that hangs after it has taken a
connection would keep a look for ever.
"""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

import psycopg2

from holdfast.errors import AccessDeniedError, HoldfastError, NotFoundError
from holdfast.postgres.connection import connect, server_version
from holdfast.postgres.reading import reading_settings
from holdfast.recovery.assessing.damage import damage_in_text
from holdfast.recovery.verdict import State, Verdict

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812

    from holdfast.postgres.url import DatabaseUrl
    from holdfast.recovery.deadline import Deadline

CONNECT_SECONDS = 10
_LOCK_SECONDS = 2.0

COMING_UP = re.compile(r"the database system is (starting up|in recovery|not (yet )?accepting)|not yet accepting connections")
"""What a server says that will answer by itself."""

_CAUSES: tuple[tuple[str, State, re.Pattern[str], str], ...] = (
    (
        "connections",
        "slow",
        re.compile(r"too many (clients|connections)|remaining connection slots|no more connections allowed"),
        "the server is up, and has no connection free",
    ),
    ("closed", "unknown", re.compile(r"is not currently accepting connections"), "the database was closed to connections"),
    (
        "starting",
        "unreachable",
        COMING_UP,
        "the server is starting, or recovering from a crash",
    ),
    ("stopping", "unreachable", re.compile(r"the database system is shutting down"), "the server is being shut down"),
    (
        "name",
        "unreachable",
        re.compile(r"could not translate host name|[Nn]ame or service not known|nodename nor servname"),
        "the name of its host does not resolve",
    ),
    (
        "refused",
        "unreachable",
        re.compile(r"Connection refused|No such file or directory"),
        "nothing listens where the server should be",
    ),
    (
        "timeout",
        "unreachable",
        re.compile(r"time(d )?out|timeout expired|No route to host|Network is unreachable"),
        "the server does not answer in time",
    ),
)


@contextmanager
def looking(url: DatabaseUrl, deadline: Deadline, *, statement_seconds: float) -> Iterator[Connection]:
    """Lend a connection that can only read, and whose statements end by themselves. Raises what `connect` raises."""
    wait = max(2, int(min(CONNECT_SECONDS, deadline.seconds_left)))
    with closing(connect(url, application_name="holdfast assessment", connect_timeout_seconds=wait)) as connection:
        with connection.cursor() as cursor, cut_off(connection, wait):
            cursor.execute(reading_settings(server_version(connection).major, _LOCK_SECONDS))
            cursor.execute(f"SET default_transaction_read_only = on; SET statement_timeout = {_milliseconds(statement_seconds)}")
        yield connection


@contextmanager
def cut_off(connection: Connection, seconds: float) -> Iterator[None]:
    """Cut the connection where what is done in here takes longer; whoever waits for it gets an OperationalError."""

    def cut() -> None:
        with suppress(OSError, psycopg2.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def without_connection(error: HoldfastError, url: DatabaseUrl) -> Verdict:
    """Judge a database that did not let us in by what was said of it; the evidence's `cause` names which it was."""
    said = error.reason or error.message
    if isinstance(error, NotFoundError):
        reason = f"the server answers, and there is no database {url.database!r} on it"
        return Verdict("database", "lost", reason, _of("missing", said))
    if damage := damage_in_text(said):
        return Verdict("database", "damaged", f"the server can't open the database: {damage}", _of("damaged", said))
    if "cannot connect to invalid database" in said:
        return Verdict("database", "damaged", "the database is half dropped, and can't be used", _of("invalid", said))
    for cause, state, sign, reason in _CAUSES:
        if sign.search(said):
            return Verdict("database", state, reason, _of(cause, said))
    if isinstance(error, AccessDeniedError):
        reason = "the server is up, and does not let us in, so how the database is can't be told"
        return Verdict("database", "unknown", reason, _of("authentication", said))
    return Verdict("database", "unreachable", "the server does not answer as a server does", _of("lost", said))


def _of(cause: str, said: str) -> dict[str, object]:
    return {"cause": cause, "said": said[:1000]}


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))
