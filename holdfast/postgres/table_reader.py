"""Streams of tables, in COPY's text format, in the database's own encoding.

A reader is a psql that imports the snapshot, locks all tables that are to be streamed at once, and then copies one after the
other. It locks them early because a lock asked for later would queue behind any ALTER TABLE that by then waits for the snapshot
to end: each would wait for the other. One psql for many tables also saves starting one for each.

psql writes all tables into one pipe. After each, it is told to write a word that was drawn by lot for this reader, and behind it
how many rows the server says that it has sent; since psql gets its next command only when that was seen, it is always the last
thing in the pipe, and only the tail of what was read needs to be looked at. The rows are the server's own number, not a count of
what has arrived: one that is lost on the way is missed by the restore. Why psql: docs/decisions/0001-copy-reader.md.
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import ToolFailedError
from holdfast.postgres import reading
from holdfast.postgres.process import ToolOutput, run_tool
from holdfast.postgres.snapshot import Snapshot
from holdfast.postgres.tables import Table
from holdfast.postgres.tools import find_tool

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_LOCKED_AT_ONCE = 200
_ROWS_DIGITS = 20
# psql keeps the server's answer to a COPY, hence the number of rows, only when the rows go elsewhere than its other output.
_TO_STDOUT = b"\\g /dev/stdout\n"


class TableReader:
    """One session that streams tables, one at a time: `open` it, and `close` it when done."""

    def __init__(
        self, snapshot: Snapshot, tables: Sequence[Table], *, tools: Path | None = None, time_limit_seconds: float | None = None
    ) -> None:
        self._snapshot = snapshot
        self._tables = tables
        self._encoding = str(snapshot.database["encoding"])
        self._end = secrets.token_hex(16).encode()
        self._psql = run_tool(
            find_tool("psql", at_least_major=snapshot.server.major, search=tools),
            ["-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1", "-f", "-"],
            url=snapshot.url,
            stdin="pipe",
            stdout="pipe",
            time_limit_seconds=time_limit_seconds,
        )

    def open(self) -> None:
        """Import the snapshot and lock the tables."""
        self._tell(_beginning(self._snapshot, self._tables))
        TableStream(self._psql.stdout, self._end).readall()

    def stream(self, table: Table) -> TableStream:
        """Begin to stream a table; read it to its end before the next. Reading raises what `Child.wait` raises."""
        columns, encoding = table.stored_columns, self._encoding.encode()
        self._tell(b"COPY " + table.stored_name + b" (" + columns + b") TO STDOUT (ENCODING '" + encoding + b"') " + _TO_STDOUT)
        return TableStream(self._psql.stdout, self._end)

    def end(self) -> None:
        """Tell the session to end, from any thread; whoever reads its stream raises."""
        self._psql.end()

    def close(self) -> None:
        """End the session, also in the middle of a table."""
        self._psql.stop()

    def _tell(self, statements: bytes) -> None:
        try:
            rows = f"lpad(:'ROW_COUNT', {_ROWS_DIGITS}, '0')".encode()
            self._psql.stdin.write(statements + b"COPY (SELECT '" + self._end + b"' || " + rows + b") TO STDOUT;\n")
            self._psql.stdin.flush()
        except BrokenPipeError:
            self._psql.wait()  # raises what ended it
            raise


class TableStream(io.RawIOBase):
    """The rows of one table, a line each; its end is reported only when the server has sent them all."""

    def __init__(self, source: ToolOutput, end: bytes) -> None:
        super().__init__()
        self._source = source
        self._end = end
        self._end_bytes = len(end) + _ROWS_DIGITS + 1  # the line's end is one more
        self._rows: int | None = None
        self._kept = b""  # read already, but perhaps the beginning of the end
        self._spare = b""

    @property
    def rows(self) -> int:
        """How many rows the server says that it has sent; known when all is read."""
        if self._rows is None:
            raise ValueError("the table is not read to its end")
        return self._rows

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        if not self._spare and len(view) > 2 * self._end_bytes:
            return self._fill(view)
        if not self._spare:  # the caller's buffer can't hold the end, so read into one of ours
            own = memoryview(bytearray(1 << 16))
            self._spare = bytes(own[: self._fill(own)])
        part = self._spare[: len(view)]
        self._spare = self._spare[len(part) :]
        view[: len(part)] = part
        return len(part)

    def _fill(self, view: memoryview) -> int:
        while self._rows is None:
            kept = len(self._kept)
            view[:kept] = self._kept
            count = self._source.readinto(view[kept:])
            if not count:
                raise ToolFailedError("psql ended in the middle of a table, and gave no error")
            filled = kept + count
            tail = bytes(view[max(0, filled - self._end_bytes) : filled])
            if len(tail) == self._end_bytes and tail.startswith(self._end):
                self._rows = int(tail[len(self._end) :])
            self._kept = tail
            if filled > len(tail):
                return filled - len(tail)
        return 0


def _beginning(snapshot: Snapshot, tables: Sequence[Table]) -> bytes:
    """Write the statements that open the transaction; locks come last, as SET TRANSACTION SNAPSHOT must come first."""
    settings = reading.reading_settings(snapshot.server.major, snapshot.lock_timeout_seconds)
    begin = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;\nSET TRANSACTION SNAPSHOT '{snapshot.id}';\n"
    remaining = iter(tables)
    locks = b""
    while batch := [table.stored_name for table in islice(remaining, _LOCKED_AT_ONCE)]:
        locks += b"LOCK TABLE ONLY " + b", ONLY ".join(batch) + b" IN ACCESS SHARE MODE;\n"
    return settings.encode() + begin.encode() + locks
