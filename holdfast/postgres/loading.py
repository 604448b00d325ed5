"""Fills a new, empty database from a backup: definitions, rows, then indexes and constraints, each with all hands.

pg_restore works on the database itself where it can, since it does several things at once. Where an older server would refuse
its session (it sets `transaction_timeout`, which servers before 17 do not know), its text is run over a connection of ours.
Rows of the large tables go straight from the repository into COPY. Nothing here is durable before the database gets its name,
so commits do not wait for the disk.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from psycopg2.extensions import connection as Connection  # noqa: N812

from holdfast.errors import DamagedError
from holdfast.postgres import facts, planner_statistics
from holdfast.postgres.archive import STATISTICS, Archive, ArchiveEntry, read_statistics, write_list
from holdfast.postgres.connection import DatabaseUrl, connect, database_errors, qualified, server_version
from holdfast.postgres.contents import BackupContents, TableStream, as_readable
from holdfast.postgres.early_indexes import EarlyIndexes
from holdfast.postgres.index_queue import IndexQueue
from holdfast.postgres.limit import TimeLimit
from holdfast.postgres.process import run_tool
from holdfast.postgres.restore_report import RestoreOptions
from holdfast.postgres.script import Readable, Script
from holdfast.postgres.stages import post_data_stages
from holdfast.postgres.tools import Tool, find_tool

Count = Callable[[int], None]

_SPEED = {"synchronous_commit": "off"}
# What is read here was written a moment ago and is mostly in the kernel's memory still: to hand each read to another process
# costs more than it saves. docs/decisions/0012-restore-speed.md has the figures.
_SPEED_SINCE = {18: {"effective_io_concurrency": "0"}}
_SORTING = ("encoding", "locale_provider", "collate", "locale", "icu_rules", "collation_version")
_UNLIMITED = {"statement_timeout": "0", "idle_in_transaction_session_timeout": "0"}
# What a session that takes rows in must not inherit from roles or databases.
_SESSION = """
SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET row_security = off;
SET search_path = ''; SET datestyle = 'ISO'; SET intervalstyle = 'postgres'; SET xmloption = 'content';
SET default_transaction_read_only = off; SET check_function_bodies = off;
"""


class WatchedSource:
    """Rows on their way to the server: counted, and stopped when the work is."""

    def __init__(self, source: Readable, limit: TimeLimit, on_bytes: Count | None) -> None:
        self._source = source
        self._limit = limit
        self._on_bytes = on_bytes

    def read(self, size: int = -1, /) -> bytes:
        self._limit.check()
        block = self._source.read(size)
        if self._on_bytes is not None:
            self._on_bytes(len(block))
        return block


class Loader:
    """Restores into one database; its methods may be called from threads of their own."""

    def __init__(
        self,
        contents: BackupContents,
        database: DatabaseUrl,
        limit: TimeLimit,
        options: RestoreOptions,
        *,
        streams: Sequence[TableStream],
        entries: Sequence[ArchiveEntry] | None,
    ) -> None:
        self._contents = contents
        self._database = database
        self._limit = limit
        self._jobs = options.jobs
        self._analyze = options.analyze
        self._entries = entries
        self._tool = restoring_tool(contents, options.tools)
        self._flags = restore_flags(options, self._tool)
        self._size_bytes = {stream.table.key: stream.entry.size_bytes for stream in streams}
        self._early = EarlyIndexes(entries or contents.archive.entries, [stream.table.key for stream in streams])
        with closing(connect(database)) as connection:
            self._server = server_version(connection)
        self._statistics = _statistics(contents.archive, entries or contents.archive.entries)
        self._statistics_came = False
        self._to_analyze: list[str] | None = None
        self._asking = threading.Lock()

    def load_definitions(self, on_bytes: Count | None = None) -> None:
        """Make everything that rows need: types, functions, tables."""
        self._contents.base_path(on_bytes)
        self._section("pre-data", jobs=1)

    def load_base_rows(self) -> None:
        """Take in the rows of the small tables, sequences and large objects."""
        crowded = bool(self._contents.streams) and self._jobs > 1
        with self._early.filling(None):
            self._section("data", jobs=self._jobs - 1 if crowded else self._jobs)

    def load_table(self, stream: TableStream, on_bytes: Count | None = None) -> int:
        """Take in the rows of one large table; return their number. Raises DamagedError, and then the table stays empty."""
        with self._connection() as connection:
            script = Script(connection, self._database)
            with self._early.filling(stream.table.key):
                rows = self._fill(script, stream, on_bytes)
            for entry in self._early.worth_making(stream.table.key):
                self._limit.check()
                script.execute(entry.definition)
        return rows

    def _fill(self, script: Script, stream: TableStream, on_bytes: Count | None) -> int:
        with self._contents.open(stream.entry) as source:
            # The table is emptied in the transaction that fills it, so the rows can be frozen and need not be frozen later.
            script.execute(f"BEGIN; TRUNCATE ONLY {qualified(*stream.table.key)}")
            statement = stream.copy_statement(self._contents.encoding, freeze=True)
            rows = script.copy(statement, WatchedSource(as_readable(source), self._limit, on_bytes))
            check_rows(stream, rows)
            script.execute("COMMIT")
        return rows

    def load_rest(self) -> None:
        """Make what is made faster or only correctly after the rows: indexes, constraints, triggers, policies."""
        queue = IndexQueue(self._early.left, self._size_bytes)
        if queue:
            self._limit.at_once([partial(self._make, queue)] * self._jobs, self._jobs)
        made = self._early.made | queue.made
        for stage in post_data_stages(self._contents.archive, self._entries, made=made):
            self._section("post-data", jobs=self._jobs if stage.at_once else 1, entries=stage.entries)

    def _make(self, queue: IndexQueue) -> None:
        with self._connection() as connection:
            script = Script(connection, self._database)
            while True:
                with queue.taken() as entry:
                    if entry is None:
                        return
                    self._limit.check()  # whoever was told to stop between two statements had none to be cancelled
                    script.execute(entry.definition)

    def load_statistics(self) -> int | None:
        """Set the source's planner statistics; return how many relations' the server refused. They come after all indexes.

        None: not one was set: the backup has none, the server takes none or sorts otherwise, or to analyze takes no longer.
        """
        if not self._statistics or self._server.major < planner_statistics.SINCE_MAJOR:
            return None
        session = [entry.definition for entry in self._contents.archive.entries if entry.kind in {"ENCODING", "STDSTRINGS"}]
        texts = (text for number, text in read_statistics(self._contents.base_path()) if number in self._statistics)
        with self._connection() as connection, database_errors(self._database, "setting statistics"):
            if not self._sorts_alike(connection) or (self._analyze and not planner_statistics.worth_setting(connection)):
                return None
            planner_statistics.note_sizes(connection, self._contents.truth.tables)
            refused = planner_statistics.set_statistics(connection, session, texts, check=self._limit.check)
        self._statistics_came = True
        return refused

    def _sorts_alike(self, connection: Connection) -> bool:
        """Tell whether texts are in the source's order here: what is known of their values is kept in that order."""
        here, there = facts.database_facts(connection), self._contents.truth.database
        return all(here[name] == there.get(name) for name in _SORTING)

    def analyze(self, worker: int, workers: int) -> None:
        """Gather the planner's statistics of this worker's share of the tables."""
        with self._connection() as connection, connection.cursor() as cursor, database_errors(self._database, "analyzing"):
            for statement in self._analyzing(connection)[worker::workers]:
                self._limit.check()
                cursor.execute(statement)

    def _analyzing(self, connection: Connection) -> list[str]:
        """Write what gathers statistics: once, for what one worker has gathered another would not find lacking."""
        with self._asking:
            if self._to_analyze is None and self._statistics_came:
                self._to_analyze = planner_statistics.analyze_lacking(connection, self._contents.source_major)
            elif self._to_analyze is None:
                self._to_analyze = planner_statistics.analyze_all(connection)
            return self._to_analyze

    def _section(self, section: str, *, jobs: int, entries: Sequence[ArchiveEntry] | None = None) -> None:
        flags = [*self._flags, *self._list_arguments(self._entries if entries is None else entries)]
        if self._tool.major >= 17 > self._server.major:
            self._section_as_text(section, flags)
            return
        arguments = [f"--section={section}", "--exit-on-error", "-w", *flags]
        arguments += ["-j", str(jobs)] if jobs > 1 else []
        arguments += ["-d", conninfo(self._database.database), str(self._contents.base_path())]
        settings = " ".join([*(value for name, value in self._database.options if name == "options"), *self._tool_settings()])
        with self._limit.child(
            run_tool(
                self._tool,
                arguments,
                url=self._database,
                time_limit_seconds=self._limit.remaining_seconds,
                env_extra={"PGOPTIONS": settings},
            )
        ):
            pass

    def _section_as_text(self, section: str, arguments: Sequence[str]) -> None:
        with self._connection() as connection:
            script = Script(connection, self._database)
            script.execute("BEGIN")
            run_section(self._contents, script, section, tool=self._tool, limit=self._limit, arguments=arguments)
            script.execute("COMMIT")

    def _tool_settings(self) -> list[str]:
        return [f"-c {name}={value}" for name, value in (self._speed | _UNLIMITED).items()]

    @property
    def _speed(self) -> dict[str, str]:
        since = [settings for major, settings in _SPEED_SINCE.items() if self._server.major >= major]
        return dict(_SPEED, **{name: value for settings in since for name, value in settings.items()})

    def _list_arguments(self, entries: Sequence[ArchiveEntry] | None) -> list[str]:
        return [] if entries is None else ["--use-list", str(write_list(entries, self._contents.spool_folder))]

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        encoding = self._contents.truth.client_encoding
        with closing(connect(self._database, client_encoding=encoding)) as connection, self._limit.connection(connection):
            prepare_session(connection)
            with connection.cursor() as cursor:
                cursor.execute("".join(f"SET {name} = {value};" for name, value in self._speed.items()))
            yield connection


def _statistics(archive: Archive, chosen: Sequence[ArchiveEntry]) -> set[int]:
    """Number the statistics that may be set: not those of a parent without all its children, for they tell of their rows, too."""
    ids = {entry.id for entry in chosen}
    parents: set[int] = set()
    for entry in reversed(archive.entries):  # children come after their parents
        if entry.kind == "TABLE" and (entry.id not in ids or entry.id in parents):
            parents.update(entry.needs)
    return {entry.id for entry in chosen if entry.kind == STATISTICS and not parents.intersection(entry.needs)}


def prepare_session(connection: Connection) -> None:
    """Undo for this session what a role's or a database's settings could spoil."""
    with connection.cursor() as cursor:
        cursor.execute(_SESSION)


def run_section(
    contents: BackupContents, script: Script, section: str, *, tool: Tool, limit: TimeLimit, arguments: Sequence[str]
) -> None:
    """Run what pg_restore writes for a section, over a connection with an open transaction."""
    command = [f"--section={section}", "-w", *arguments, "--file=-", str(contents.base_path())]
    command += ["--single-transaction"] if section == "data" else []  # else large objects come with COMMITs of their own
    with limit.child(run_tool(tool, command, stdout="pipe", time_limit_seconds=limit.remaining_seconds)) as child:
        if section == "data":
            script.run_data(child.stdout)
        else:
            script.run_definitions(child.stdout)


def restore_flags(options: RestoreOptions, tool: Tool) -> list[str]:
    """Return what pg_restore is told of owners, tablespaces, subscriptions, and statistics, which it would set before rows."""
    flags = ["--no-tablespaces", *([] if options.owners else ["--no-owner", "--no-acl"])]
    flags += ["--no-statistics"] if tool.major >= planner_statistics.SINCE_MAJOR else []
    return [*flags, "--no-subscriptions"] if options.rehearsal or options.mode == "in_place" else flags


def restoring_tool(contents: BackupContents, tools: Path | None) -> Tool:
    """Find a pg_restore that reads the backup's archive. Raises SettingsError naming the version needed."""
    return find_tool("pg_restore", at_least_major=tool_major(contents.archive.tool_version), search=tools)


def tool_major(version: str) -> int:
    """Return the major version in a text such as `18.4 (Debian 18.4-1)`."""
    digits = version.strip().split(".")[0]
    return int("".join(character for character in digits[:3] if character.isdigit()) or 0)


def conninfo(database: str) -> str:
    """Write a database's name so that no character in it is taken for an option."""
    escaped = database.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{escaped}'"


def check_rows(stream: TableStream, rows: int) -> None:
    """Raise DamagedError when the server took another number of rows than the source gave."""
    if rows != stream.table.rows:
        raise DamagedError(
            f"table {stream.table.schema}.{stream.table.name} did not come back whole",
            reason=f"the source gave {stream.table.rows} rows and the target took {rows}",
        )
