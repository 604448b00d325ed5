"""SQL as `pg_restore` writes it, run over one connection of ours: what a restore in a single transaction needs.

Sections before and after the data are plain SQL and go to the server whole. The data section is statements and COPY blocks in
turn. psql's own commands, the transaction brackets, and settings that an older server does not know are left out; nothing
else is changed.
"""

from __future__ import annotations

import io
import re
from typing import Protocol

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812

from holdfast.errors import HoldfastError, ToolFailedError, WorkFailedError
from holdfast.postgres.connection import DatabaseUrl, database_error

_META = re.compile(rb"^\\(?:un)?restrict [^\n]*\n", re.MULTILINE)
_UNKNOWN_TO_OLDER = re.compile(rb"^SET transaction_timeout = 0;\n", re.MULTILINE)
_COPY, _FROM = b"COPY ", b" FROM stdin;\n"
_BRACKET = re.compile(rb"^(?:BEGIN|COMMIT);\n", re.MULTILINE)
_END = b"\\.\n"
_BLOCK_BYTES = 1 << 20
_OF_THE_SERVER = ("53", "57", "58")


class Readable(Protocol):
    """Anything with a `read`."""

    def read(self, size: int = -1, /) -> bytes: ...


class Script:
    """Runs pg_restore's text in the connection's open transaction."""

    def __init__(self, connection: Connection, url: DatabaseUrl) -> None:
        self._connection = connection
        self._url = url
        self._knows_transaction_timeout = connection.server_version >= 170000

    def run_definitions(self, source: Readable) -> None:
        """Run a pre-data or post-data section."""
        text = b"".join(iter(lambda: source.read(_BLOCK_BYTES), b""))
        text = _without_last(_META, _META.sub(b"", text, count=1))
        if not self._knows_transaction_timeout:
            text = _UNKNOWN_TO_OLDER.sub(b"", text, count=1)
        self.execute(text)

    def run_data(self, source: Readable) -> None:
        """Run a data section: statements, and COPY blocks with their rows."""
        lines = _Buffer(source)
        statements = b""
        while line := lines.line():
            if line.startswith(_COPY):
                self.execute(statements)
                self.copy(_whole_copy(line, lines), lines.block())
                statements = b""
            elif self._wanted(line):
                statements += line
                # A large object comes as many long lines, each a statement of its own.
                if len(statements) > _BLOCK_BYTES and line.startswith(b"SELECT pg_catalog.lowrite("):
                    self.execute(statements)
                    statements = b""
        self.execute(statements)

    def execute(self, sql: str | bytes) -> None:
        """Run statements. Raises WorkFailedError with the server's words and the statement that it refused."""
        with self._connection.cursor() as cursor:
            try:
                # Comments alone would be an error.
                cursor.execute(sql + "\n;SELECT" if isinstance(sql, str) else sql + b"\n;SELECT")
            except psycopg2.Error as error:
                raise sql_error(error, self._url, sql) from error

    def copy(self, sql: str | bytes, source: Readable) -> int:
        """Feed rows to a COPY … FROM STDIN; return their number. A source that fails makes the server undo the COPY."""
        feed = _Feed(source)
        with self._connection.cursor() as cursor:
            try:
                cursor.copy_expert(sql, feed, _BLOCK_BYTES)
            except psycopg2.Error as error:
                if feed.failure is not None:
                    raise feed.failure from error
                raise sql_error(error, self._url, sql) from error
            return int(cursor.rowcount)

    def _wanted(self, line: bytes) -> bool:
        if _META.fullmatch(line) or _BRACKET.fullmatch(line):
            return False
        return self._knows_transaction_timeout or not _UNKNOWN_TO_OLDER.fullmatch(line)


def sql_error(error: psycopg2.Error, url: DatabaseUrl, sql: str | bytes = b"") -> HoldfastError:
    """Say what the server said of a statement, in one line, with its detail and hint and the refused statement's line."""
    said = error.diag
    if said.message_primary is None or (error.pgcode or "").startswith(("08", "57P")):
        return database_error(error, url, "restoring")
    reason = "; ".join(part for part in (said.message_primary, said.message_detail, said.context) if part)
    if said.statement_position:
        text = sql if isinstance(sql, str) else sql.decode("utf-8", errors="replace")
        position = int(said.statement_position) - 1
        reason += f" (in: {text[text.rfind(chr(10), 0, position) + 1 :].splitlines()[0][:200]})"
    # What the server lacks (memory, disk) or was told (to cancel) says nothing of the backup; all else does, as from pg_restore.
    kind = WorkFailedError if (error.pgcode or "").startswith(_OF_THE_SERVER) else ToolFailedError
    return kind("the target server refused a part of the restore", reason=reason, next_step=said.message_hint)


class _Feed(io.RawIOBase):
    """What psycopg2 reads rows from; it keeps the failure that psycopg2 would turn into text."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self.failure: BaseException | None = None

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self._source.read(size)
        except BaseException as failure:
            self.failure = failure
            raise


class _Buffer:
    """Reads lines, and the rows of a COPY block up to its end mark, from one stream."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._held = b""
        self._at = 0
        self._ended = False

    def line(self) -> bytes:
        """Return the next line with its end; empty at the end of the stream."""
        searched = self._at
        while (end := self._held.find(b"\n", searched)) < 0 and not self._ended:
            searched = len(self._held) - self._at
            self._more()
        return self._take(end + 1 if end >= 0 else len(self._held))

    def block(self) -> Readable:
        """Return a reader of the rows up to the end mark, which is read too."""
        return _Rows(self)

    def rows(self, at_line_start: bool) -> tuple[bytes, bool]:
        """Return the next rows, and whether they were the last."""
        while True:
            if at_line_start and self._held.startswith(_END, self._at):
                self._take(self._at + len(_END))
                return b"", True
            mark = self._held.find(b"\n" + _END, self._at)
            if mark >= 0:
                rows = self._take(mark + 1)
                self._take(self._at + len(_END))
                return rows, True
            if self._ended:
                raise WorkFailedError("pg_restore ended in the middle of a table")
            if len(self._held) - self._at > len(_END):
                return self._take(len(self._held) - len(_END)), False  # the end mark may be half here, so its length stays
            self._more()

    def _take(self, end: int) -> bytes:
        taken, self._at = self._held[self._at : end], end
        return taken

    def _more(self) -> None:
        data = self._source.read(_BLOCK_BYTES)
        self._held = self._held[self._at :] + data
        self._at = 0
        self._ended = not data


class _Rows:
    """One COPY block, until its end mark."""

    def __init__(self, buffer: _Buffer) -> None:
        self._buffer = buffer
        self._at_line_start = True
        self._done = False

    def read(self, size: int = -1, /) -> bytes:
        if self._done:
            return b""
        rows, self._done = self._buffer.rows(self._at_line_start)
        if rows:
            self._at_line_start = rows.endswith(b"\n")
        return rows


def _whole_copy(line: bytes, lines: _Buffer) -> bytes:
    """Read on where a COPY statement spans lines, for names may hold line ends."""
    while line.count(b'"') % 2 or not line.endswith(_FROM):
        following = lines.line()
        if not following:
            raise WorkFailedError("pg_restore ended in the middle of a statement")
        line += following
    return line


def _without_last(pattern: re.Pattern[bytes], text: bytes) -> bytes:
    """Remove the pattern's last match."""
    last = None
    for last in pattern.finditer(text):  # noqa: B007
        pass
    return text if last is None else text[: last.start()] + text[last.end() :]
