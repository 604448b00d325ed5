"""Scratch databases: where a restore is built before it gets its final name, or is only looked at and dropped.

A scratch database has a name of its own kind, `holdfast_scratch_<unix seconds>_<6 hex>`, and whoever builds in it holds an
advisory lock on the server for as long as it lives. A scratch database without its lock belonged to a run that died, whatever
host it ran on, and the next run drops it. Nothing with another name is ever dropped here.
"""

from __future__ import annotations

import logging
import secrets
import time
import zlib
from contextlib import suppress
from types import TracebackType
from typing import Self

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812

from holdfast.errors import HoldfastError, LocaleMissingError
from holdfast.postgres.connection import DatabaseUrl, connect, connect_to_server, database_error, quote_identifier

_log = logging.getLogger(__name__)

_LOCK_CLASS = 0x48465343
_SUBSCRIPTIONS = (
    "SELECT subname FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_ABANDONED = """
SELECT datname FROM pg_database WHERE datname ~ '^holdfast_scratch_[0-9]{10,}_[0-9a-f]{6}$'
"""
_LOCKED = "SELECT objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND classid::bigint = %s AND objsubid = 2"


class Scratch:
    """One scratch database of ours, from before it exists until it is dropped or has another name."""

    def __init__(self, server: DatabaseUrl) -> None:
        self.name = new_name()
        self.url = server.with_database(self.name)
        self.connection: Connection = connect_to_server(server)
        self._exists = False
        try:
            with self.connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_lock(%s, %s)", (_LOCK_CLASS, _lock_number(self.name)))
        except BaseException:
            self.connection.close()
            raise

    @property
    def exists(self) -> bool:
        """Whether there is something that `drop` would remove."""
        return self._exists

    def create(self, clauses: str) -> None:
        """Create the database with these clauses of CREATE DATABASE. Raises LocaleMissingError, or what the server says."""
        try:
            with self.connection.cursor() as cursor:
                cursor.execute(f"CREATE DATABASE {quote_identifier(self.name)} {clauses}")
        except psycopg2.Error as error:
            if _is_about_locale(error):
                raise LocaleMissingError(
                    "the target server can't make a database with the source's encoding and locale",
                    reason=error.diag.message_primary,
                    next_step="Install the locale there, or restore to a server that has it",
                ) from error
            raise database_error(error, self.url, "creating the database to restore into") from error
        self._exists = True

    def keep(self) -> None:
        """Let go of the database: it has its final name now."""
        self._exists = False

    def drop(self) -> None:
        """Drop the database and whoever is connected to it; nothing to do where it was never made."""
        if not self._exists:
            return
        if self.connection.closed:
            self.connection = connect_to_server(self.url)
        drop_database(self.connection, self.url)
        self._exists = False

    def close(self) -> None:
        """Let the lock go."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self.drop()
        finally:
            self.close()


def new_name() -> str:
    """Make a name for a scratch database."""
    return f"holdfast_scratch_{int(time.time())}_{secrets.token_hex(3)}"


def drop_database(connection: Connection, url: DatabaseUrl) -> None:
    """Drop the database that the URL names, over a connection to another one."""
    _drop_subscriptions(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {quote_identifier(url.database)} WITH (FORCE)")
    except psycopg2.Error as error:
        raise database_error(error, url, "dropping the scratch database") from error


def drop_abandoned(server: DatabaseUrl) -> list[str]:
    """Drop the scratch databases of runs that died; return their names."""
    dropped = []
    connection = connect_to_server(server)
    try:
        with connection.cursor() as cursor:
            # The databases first: a run locks its name before it creates the database, so what then has no lock is abandoned.
            cursor.execute(_ABANDONED)
            names = [name for (name,) in cursor.fetchall()]
            cursor.execute(_LOCKED, (_LOCK_CLASS,))
            held = {number for (number,) in cursor.fetchall()}
        for name in names:
            if _lock_number(name) not in held:
                try:
                    drop_database(connection, server.with_database(name))
                except HoldfastError as error:
                    _log.warning("the abandoned scratch database %s could not be dropped: %s", name, error)
                else:
                    dropped.append(name)
    finally:
        connection.close()
    return dropped


def _drop_subscriptions(url: DatabaseUrl) -> None:
    """Remove subscriptions, which would hinder the drop, without touching the slots at their publishers."""
    try:
        connection = connect(url)
    except HoldfastError:
        return  # not there, or not to be entered: the drop will tell
    try:
        with connection.cursor() as cursor, suppress(psycopg2.Error):
            cursor.execute(_SUBSCRIPTIONS)
            for name in [quote_identifier(name) for (name,) in cursor.fetchall()]:
                cursor.execute(f"ALTER SUBSCRIPTION {name} DISABLE")
                cursor.execute(f"ALTER SUBSCRIPTION {name} SET (slot_name = NONE)")
                cursor.execute(f"DROP SUBSCRIPTION {name}")
    finally:
        connection.close()


def _lock_number(name: str) -> int:
    return zlib.crc32(name.encode()) & 0x7FFFFFFF


def _is_about_locale(error: psycopg2.Error) -> bool:
    said = (error.diag.message_primary or "").lower()
    return any(word in said for word in ("locale", "encoding", "icu", "collat", "lc_"))
