"""Connections to PostgreSQL, for us and for the tools that we start.

Whatever libpq or the server says on refusing is turned into one of our errors here, by one table, whether we heard it
ourselves or read it in a tool's stderr. No message of ours holds the password.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg2

from holdfast.errors import (
    AccessDeniedError,
    DatabaseUnreachableError,
    HoldfastError,
    NotFoundError,
    TableLockedError,
    WorkFailedError,
)
from holdfast.postgres.environment import APPLICATION_NAME, child_environment
from holdfast.postgres.url import DatabaseUrl

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812

__all__ = [
    "DatabaseUrl",
    "ServerVersion",
    "child_environment",
    "connect",
    "connect_to_server",
    "database_error",
    "database_errors",
    "qualified",
    "quote_identifier",
    "refusal",
    "server_version",
]

_KEEPALIVES = {"keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 6}

_ROW_CONTENT = (
    (re.compile(r"(Failing row contains )\(.*?\)\.?$", re.MULTILINE | re.DOTALL), r"\1(...)"),
    (re.compile(r"(Key \([^)]*\)=)\(.*?\)(?= (?:already exists|is |conflicts|is not))", re.DOTALL), r"\1(...)"),
    (re.compile(r"(with existing key \([^)]*\)=)\(.*?\)\.?$", re.MULTILINE | re.DOTALL), r"\1(...)"),
    (re.compile(r"(COPY .+?, line \d+(?:, column [^:\n]*)?): \".*\"$", re.MULTILINE), r"\1"),
    (re.compile(r"(invalid input (?:syntax|value) for [^:\n]+): \".*\"", re.MULTILINE), r"\1"),
)
_NO_DATABASE = re.compile(r'FATAL:\s+database ".*" does not exist')
_DENIED = re.compile(
    r"password authentication failed|no password supplied|authentication failed for user|no pg_hba\.conf entry"
    r'|role ".*" does not exist|is not permitted to log in|pg_hba\.conf rejects|permission denied for database'
    r"|server requested a hashed password|server requires? .*authentication"
)
_QUESTION = re.compile(r"\n\s*Is the server running[^\n]*\?")  # libpq's: the next step says it
_GONE = re.compile(
    r"connection to server .*failed|could not connect|server closed the connection|terminating connection"
    r"|the database system is|could not (receive|send) data|no connection to the server|connection timed out|timeout expired"
    r"|could not translate host name|SSL connection has been closed|SSL SYSCALL error|connection not open|lost synchronization"
    r"|connection already closed|connection was lost|too many (clients|connections)|remaining connection slots"
    r'|snapshot identifier|snapshot ".*" does not exist'
)


@dataclass(frozen=True, slots=True)
class ServerVersion:
    """A server's version: 180001, 18, and the text that it calls itself by."""

    num: int
    major: int
    text: str


def connect(
    url: DatabaseUrl,
    *,
    application_name: str = APPLICATION_NAME,
    autocommit: bool = True,
    connect_timeout_seconds: int = 10,
    client_encoding: str = "UTF8",
) -> Connection:
    """Open a connection; names and texts come as `client_encoding`.

    Raises NotFoundError (no such database), AccessDeniedError (user, password, pg_hba.conf), DatabaseUnreachableError.
    """
    parameters: dict[str, Any] = dict(_KEEPALIVES, connect_timeout=connect_timeout_seconds, application_name=application_name)
    parameters |= dict(url.options)
    parameters |= {"dbname": url.database, "port": url.port, "client_encoding": client_encoding}
    if url.host is not None:
        parameters["host"] = url.host
    if url.user is not None:
        parameters["user"] = url.user
    if url.password is not None:
        parameters["password"] = url.password.get_secret_value()
    try:
        connection: Connection = psycopg2.connect(**parameters)
    except psycopg2.Error as error:
        raise _connect_error(str(error), url) from None  # the driver's frames hold the password
    connection.autocommit = autocommit
    return connection


def connect_to_server(url: DatabaseUrl) -> Connection:
    """Connect to the server rather than the database: to `postgres`, or `template1` where an owner dropped that."""
    try:
        return connect(url.maintenance())
    except NotFoundError:
        return connect(url.with_database("template1"))


def server_version(connection: Connection) -> ServerVersion:
    """Tell the version of the server at the other end."""
    number = connection.server_version
    text = connection.info.parameter_status("server_version") or str(number)
    return ServerVersion(number, number // 10000, text)


def rows_of(connection: Connection, statement: str) -> list[tuple[Any, ...]]:
    """Run a statement, and return all of its rows."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def quote_identifier(name: str) -> str:
    """Quote a name for SQL, always."""
    return '"' + name.replace('"', '""') + '"'


def qualified(schema: str, name: str) -> str:
    """Quote a schema's and a relation's name for SQL."""
    return f"{quote_identifier(schema)}.{quote_identifier(name)}"


def refusal(text: str, url: DatabaseUrl) -> HoldfastError | None:
    """Recognize in what libpq or a tool said that the server refused or lost the connection."""
    reason = masked(text, url).strip()
    place = url.redacted
    if _NO_DATABASE.search(text):
        return NotFoundError(f"there is no database {url.database!r} on its server", reason=reason)
    if _DENIED.search(text):
        step = "Check user, password and pg_hba.conf"
        return AccessDeniedError(f"the server refuses to connect us to {place}", reason=reason, next_step=step)
    if _GONE.search(text):
        return _silent(url, reason)
    return None


def database_error(error: psycopg2.Error, url: DatabaseUrl, doing: str) -> HoldfastError:
    """Turn what the driver raised in the middle of work into one of our errors; `doing` says at what, as "reading the tables"."""
    reason = masked(str(error), url).strip()
    if error.pgcode == "42501":
        return denied(doing, reason)
    if error.pgcode in {"55P03", "40P01"}:
        return TableLockedError(f"another session locks what is needed for {doing}", reason=reason)
    lost = error.pgcode is None and isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError)
    if lost or (error.pgcode or "").startswith(("08", "57P")):
        return DatabaseUnreachableError(f"the database {url.redacted} was lost while {doing}", reason=reason)
    return WorkFailedError(f"{url.redacted} refused while {doing}", reason=reason)


@contextmanager
def database_errors(url: DatabaseUrl, doing: str) -> Iterator[None]:
    """Raise our errors for what the driver raises inside (see `database_error`)."""
    try:
        yield
    except psycopg2.Error as error:
        raise database_error(error, url, doing) from error


def denied(doing: str, reason: str) -> AccessDeniedError:
    """Say that the user lacks a right."""
    step = (
        "Grant the backup's user SELECT on it, or membership in pg_read_all_data; where row-level security is on, BYPASSRLS too"
    )
    return AccessDeniedError(f"the database user's rights do not suffice for {doing}", reason=reason, next_step=step)


def masked(text: str, url: DatabaseUrl) -> str:
    """Blot out of what a server or tool said the URL's password, and what it quotes of rows: they are the user's secrets too."""
    for pattern, kept in _ROW_CONTENT:
        text = pattern.sub(kept, text)
    return text if url.password is None else text.replace(url.password.get_secret_value(), "****")


def _connect_error(text: str, url: DatabaseUrl) -> HoldfastError:
    return refusal(text, url) or _silent(url, masked(text, url).strip())


def _silent(url: DatabaseUrl, reason: str) -> DatabaseUnreachableError:
    return DatabaseUnreachableError(
        f"the database {url.redacted} does not answer",
        reason=_QUESTION.sub("", reason),
        next_step="See whether its server runs, and whether this host reaches that address",
    )
