"""Tables read by a driver, asyncpg, instead of by psql, to be compared. It is no part of the product.

Its event loop runs only while somebody reads, in the reader's own thread; so the socket fills meanwhile, and the server waits.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import asyncpg

from holdfast.postgres import reading
from holdfast.postgres.snapshot import Snapshot
from holdfast.postgres.tables import Table
from holdfast.postgres.url import DatabaseUrl

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

FILL_SECONDS = 0.0004  # a socket of the usual 208 KiB is full by then
_WORTH_A_READ_BYTES = 100_000


class DriverReader:
    """What `TableReader` is to a dump; without its time limit, its locks' errors and its end from another thread."""

    def __init__(self, snapshot: Snapshot, tables: Sequence[Table], **_: Any) -> None:
        self._snapshot = snapshot
        self._tables = tables
        self._loop, self._connection = connected(snapshot.url)

    def open(self) -> None:
        """Import the snapshot and lock the tables."""
        begin = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '{self._snapshot.id}';"
        locks = "".join(f"LOCK TABLE ONLY {table.stored_name.decode()} IN ACCESS SHARE MODE;" for table in self._tables)
        settings = reading.reading_settings(self._snapshot.server.major, self._snapshot.lock_timeout_seconds)
        self._loop.run_until_complete(self._connection.execute(settings))
        self._loop.run_until_complete(self._connection.execute(begin + locks))

    def stream(self, table: Table) -> DriverStream:
        """Begin to stream a table."""
        statement = f"COPY {table.stored_name.decode()} ({table.stored_columns.decode()}) TO STDOUT"
        return DriverStream(self._loop, self._connection, statement)

    def end(self) -> None:
        """Nothing here ends it early."""

    def close(self) -> None:
        """End the session."""
        closed(self._loop, self._connection)


class DriverStream(io.RawIOBase):
    """What one COPY sends."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, connection: Any, statement: str, fill_seconds: float = FILL_SECONDS
    ) -> None:
        super().__init__()
        self._loop = loop
        self._fill_seconds = fill_seconds
        self._part = memoryview(b"")
        self._emptied = False
        self._taken = asyncio.Event()
        self._next: asyncio.Future[bytes] = loop.create_future()
        self._copying = loop.create_task(self._copy(connection, statement))
        self.rows = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        if not self._part:
            if self._emptied:
                time.sleep(self._fill_seconds)
            self._part = memoryview(self._loop.run_until_complete(self._next))
            if not self._part:
                return 0
            self._emptied = bool(self._fill_seconds) and len(self._part) < _WORTH_A_READ_BYTES
            self._next = self._loop.create_future()
            self._taken.set()
        count = min(len(view), len(self._part))
        view[:count] = self._part[:count]
        self._part = self._part[count:]
        return count

    async def _copy(self, connection: Any, statement: str) -> None:
        try:
            answer = await connection._copy_out(statement, self._sink, None)
            self.rows = int(answer.split()[1])
            self._next.set_result(b"")
        except (OSError, asyncpg.PostgresError) as error:
            self._next.set_exception(error)

    async def _sink(self, part: bytes) -> None:
        self._next.set_result(part)
        self._taken.clear()
        await self._taken.wait()


def connected(url: DatabaseUrl) -> tuple[asyncio.AbstractEventLoop, Any]:
    """Open a connection with a loop of its own."""
    loop = asyncio.new_event_loop()
    connecting = asyncpg.connect(host=url.host, port=url.port, user=url.user, database=url.database)
    return loop, loop.run_until_complete(connecting)


def closed(loop: asyncio.AbstractEventLoop, connection: Any) -> None:
    """End a connection and its loop."""
    loop.run_until_complete(connection.close())
    loop.close()
