"""A database as the streams of a backup, all read in one snapshot.

`globals` (roles), `base` (pg_dump: all definitions and the rows of small tables), a stream for each large table, and `truth`.
The rows of a table are in `base` or in its stream, never in both: pg_dump is told to leave out exactly the tables of the plan.
"""

from __future__ import annotations

import io
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from holdfast.errors import TableLockedError, ToolFailedError, WorkFailedError
from holdfast.postgres import planner_statistics
from holdfast.postgres.process import Child, run_tool
from holdfast.postgres.snapshot import Snapshot
from holdfast.postgres.table_reader import TableReader
from holdfast.postgres.tables import Table
from holdfast.postgres.tools import Tool, ToolName, find_tool
from holdfast.postgres.truth import TableTruth, Truth
from holdfast.postgres.url import DatabaseUrl
from holdfast.repository import BackupWriter, Entry, ManifestDraft

GLOBALS, BASE, TRUTH = "globals", "base", "truth"
DEFAULT_STREAM_THRESHOLD_BYTES = 8 << 20

Progress = Callable[[int], None] | None

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DumpOptions:
    """How to dump; `time_limit_seconds` is for the whole, each child is stopped when it is up."""

    lock_timeout_seconds: float = 30
    time_limit_seconds: float | None = None
    table_stream_threshold_bytes: int = DEFAULT_STREAM_THRESHOLD_BYTES
    include_role_passwords: bool = True
    proof: Literal["counts", "content"] = "counts"
    readers: int = 2


@dataclass(frozen=True, slots=True)
class DumpPlan:
    """Which tables become streams of their own, the largest first; all else is in `base`."""

    streamed: tuple[Table, ...]
    base_bytes: int

    @property
    def entry_names(self) -> tuple[str, ...]:
        return (GLOBALS, BASE, *(entry_name(table) for table in self.streamed), TRUTH)


def entry_name(table: Table) -> str:
    """Name a table's stream: `table/<schema>.<name>`, percent-encoded so that each name has one meaning."""
    return f"table/{_encoded(table.schema)}.{_encoded(table.name)}"


class DatabaseDump:
    """Stores one database. Its methods may be called from threads of their own; `close` (or the snapshot's end) ends its readers.

    The methods raise what `Child.wait` raises, and what the writer does.
    """

    def __init__(
        self,
        url: DatabaseUrl,
        snapshot: Snapshot,
        writer: BackupWriter,
        tools: Path | None = None,
        options: DumpOptions | None = None,
    ) -> None:
        self.url = url
        self.options = options or DumpOptions()
        self._snapshot = snapshot
        self._writer = writer
        self._tools = tools
        self._started_at = datetime.now(UTC)
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self._idle_readers: list[TableReader] = []
        self._readers_made = False
        self._making = threading.Lock()
        self._at_work: set[Child | TableReader] = set()
        self._stopped = False
        self._closed = False
        self._rest: dict[tuple[str, str], int] | None = None
        snapshot.at_close(self.close)

    def decide(self) -> DumpPlan:
        """Say what goes where; the same answer every time, for sizes are not of the snapshot. Whoever asks first, asks alone."""
        return self._plan

    def plan(self) -> DumpPlan:
        """Decide, and lock the streamed tables for their readers."""
        plan = self.decide()
        with self._making, self._explaining_locks():
            if not self._readers_made:
                for reader in self._new_readers(min(self.options.readers, len(plan.streamed))):
                    self._give_back(reader)
                self._readers_made = True
        return plan

    def store_globals(self, on_progress: Progress = None) -> Entry:
        """Store the roles, as SQL; with their password hashes where that is wanted and allowed."""
        arguments = ["--roles-only", "-w", f"--lock-wait-timeout={self._lock_wait_ms}", "-d", _conninfo(self.url.database)]
        if not self._role_passwords:
            arguments.append("--no-role-passwords")
        with self._run("pg_dumpall", arguments) as child:
            return self._writer.store(GLOBALS, "globals", child.stdout, on_progress=on_progress, media="application/sql")

    def store_base(self, on_progress: Progress = None) -> Entry:
        """Store the archive of pg_dump: everything but the rows of the streamed tables, whose statistics are in it."""
        if self._statistics:
            try:
                return self._store_archive(on_progress, "--statistics")
            except ToolFailedError as error:
                # Statistics that are damaged, or hold a value that its type no longer reads, must not cost a backup of the rows.
                _log.warning("The backup is made without the planner's statistics, with which it failed: %s", error)
        return self._store_archive(on_progress)

    def store_table(self, table: Table, on_progress: Progress = None) -> Entry:
        """Store the rows of one table of the plan; `Entry.lines` is how many the server says it has sent."""
        with self._reader() as reader:
            stream = reader.stream(table)
            entry = self._writer.store(entry_name(table), "copy_text", stream, on_progress=on_progress, media="text/plain")
            if entry.size_bytes and not stream.rows:
                raise ToolFailedError("psql did not tell how many rows a table has", reason=f"it wrote {entry.size_bytes} bytes")
            return replace(entry, lines=stream.rows)

    def count_rest(self) -> None:
        """Count the rows of the tables in `base`; `store_truth` does it where nobody did before."""
        with self._counting:
            if self._rest is None:
                streamed = {table.key for table in self._plan.streamed}
                rest = [table for table in self._snapshot.countable() if table.key not in streamed]
                self._rest = self._snapshot.count_rows(rest)

    def store_truth(self, entries: Sequence[Entry]) -> Entry:
        """Store what the source knew of itself; `entries` are those of the streamed tables, others are left aside."""
        self.count_rest()
        lines = {entry.name: entry.lines for entry in entries}
        tables = self._snapshot.countable()
        hashes = self._snapshot.content_hashes(tables) if self.options.proof == "content" else {}
        truth = Truth.of(self._snapshot, [self._table_truth(table, lines, hashes) for table in tables])
        return self._writer.store(TRUTH, "truth", io.BytesIO(truth.to_bytes()), media="application/json")

    def draft(self, job_id: str, entries: Sequence[Entry]) -> ManifestDraft:
        """Write what the manifest says of this backup."""
        server = self._snapshot.server
        return ManifestDraft(
            id=job_id,
            type="database",
            source={"name": self.url.database, "server": self.url.with_database("").redacted, "database": self.url.database},
            snapshot_at=self._snapshot.taken_at,
            entries=list(entries),
            tools={name: self._tool(name).version_text for name in ("pg_dump", "pg_dumpall", "psql")},
            server={"version": server.num, "major": server.major, "text": server.text},
            parameters={
                "table_stream_threshold_bytes": self.options.table_stream_threshold_bytes,
                "role_passwords": self._role_passwords,
                "proof": self.options.proof,
                "readers": self.options.readers,
                "lock_timeout_seconds": self.options.lock_timeout_seconds,
            },
            started_at=self._started_at,
        )

    def stop(self) -> None:
        """End all that reads the source now, in any thread; whoever waits for it raises."""
        with self._lock:
            self._stopped = True
            for child in self._at_work:
                child.end()
        self._snapshot.cancel()

    def close(self) -> None:
        """End the readers that are idle; the others end with whoever uses them."""
        with self._lock:
            self._closed = True
            readers, self._idle_readers = self._idle_readers, []
        _close(readers)

    # Parts

    @cached_property
    def _plan(self) -> DumpPlan:
        streamed = tuple(self._snapshot.streams(self.options.table_stream_threshold_bytes))
        _ = self._statistics  # asked now: whoever counts rows has the snapshot's turn for long
        total = sum(table.size_bytes for table in self._snapshot.tables())
        return DumpPlan(streamed, total - sum(table.size_bytes for table in streamed))

    @cached_property
    def _role_passwords(self) -> bool:
        return self.options.include_role_passwords and self._snapshot.may_read_passwords()

    def _store_archive(self, on_progress: Progress, *more: str) -> Entry:
        arguments: list[str | bytes] = ["-Fc", "-Z0", "-w", f"--snapshot={self._snapshot.id}", *more]
        arguments.append(f"--lock-wait-timeout={self._lock_wait_ms}")
        # A name quoted for SQL is also pg_dump's pattern for exactly this name, and pg_dump wants the server's encoding.
        arguments += [b"--exclude-table-data=" + table.stored_name for table in self._plan.streamed]
        if self._snapshot.database["in_recovery"]:
            arguments.append("--no-unlogged-table-data")
        with self._run("pg_dump", arguments) as child:
            return self._writer.store(BASE, "pg_dump_custom", child.stdout, on_progress=on_progress)

    @cached_property
    def _statistics(self) -> bool:
        """Whether the planner's statistics come along: all or none, for pg_dump can't leave a table's out."""
        return self._tool("pg_dump").major >= planner_statistics.SINCE_MAJOR and not self._snapshot.statistics_of_others()

    @property
    def _time_left_seconds(self) -> float | None:
        limit = self.options.time_limit_seconds
        return None if limit is None else max(0.0, self._started + limit - time.monotonic())

    @property
    def _lock_wait_ms(self) -> int:
        return int(self.options.lock_timeout_seconds * 1000)

    def _table_truth(self, table: Table, lines: dict[str, int | None], hashes: dict[tuple[str, str], int]) -> TableTruth:
        name = entry_name(table)
        streamed = name in lines
        rows = lines[name] if streamed else (self._rest or {})[table.key]
        assert rows is not None  # noqa: S101  store_table knows them
        return TableTruth(
            schema=table.schema,
            name=table.name,
            kind=table.kind,
            rows=rows,
            size_bytes=table.size_bytes,
            entry=name if streamed else None,
            columns=table.columns if streamed else (),
            content_hash=str(hashes[table.key]) if hashes else None,
        )

    def _tool(self, name: ToolName) -> Tool:
        return find_tool(name, at_least_major=self._snapshot.server.major, search=self._tools)

    @contextmanager
    def _run(self, name: ToolName, arguments: Sequence[str | bytes]) -> Iterator[Child]:
        tool, limit = self._tool(name), self._time_left_seconds
        with (
            self._explaining_locks(),
            run_tool(tool, arguments, url=self.url, stdout="pipe", time_limit_seconds=limit) as child,
            self._stoppable(child),
        ):
            yield child

    @contextmanager
    def _stoppable(self, child: Child | TableReader) -> Iterator[None]:
        """Have this child ended by `stop`."""
        with self._lock:
            if self._stopped:
                raise WorkFailedError("the dump was stopped")
            self._at_work.add(child)
        try:
            yield
        finally:
            with self._lock:
                self._at_work.discard(child)

    @contextmanager
    def _reader(self) -> Iterator[TableReader]:
        """Lend a reader; one that failed is not lent again."""
        with self._lock:
            idle = self._idle_readers.pop() if self._idle_readers else None
        with self._explaining_locks():
            reader = idle or self._new_readers(1)[0]
            try:
                with self._stoppable(reader):
                    yield reader
            except BaseException:
                reader.close()
                raise
        self._give_back(reader)

    def _give_back(self, reader: TableReader) -> None:
        with self._lock:
            if not self._closed:
                self._idle_readers.append(reader)
                return
        reader.close()

    def _new_readers(self, count: int) -> list[TableReader]:
        """Make readers that hold their locks; all processes start at once, for that takes longer than the locks do."""
        limit = self._time_left_seconds
        readers: list[TableReader] = []
        try:
            with ExitStack() as stoppable:
                for _ in range(count):
                    readers.append(TableReader(self._snapshot, self._plan.streamed, tools=self._tools, time_limit_seconds=limit))
                    stoppable.enter_context(self._stoppable(readers[-1]))
                for reader in readers:
                    reader.open()
        except BaseException:
            _close(readers)
            raise
        return readers

    @contextmanager
    def _explaining_locks(self) -> Iterator[None]:
        try:
            yield
        except TableLockedError as error:
            error.reason = self._snapshot.lock_blockers() or error.reason
            raise


def _close(readers: Sequence[TableReader]) -> None:
    """End readers, which are all told before one is waited for."""
    for reader in readers:
        reader.end()
    for reader in readers:
        reader.close()


def _encoded(name: str) -> str:
    return quote(name, safe="").replace(".", "%2E")


def _conninfo(database: str) -> str:
    escaped = database.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{escaped}'"
