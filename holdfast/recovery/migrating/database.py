"""A database brought to another server, or under another name: streamed from one snapshot, and nothing of it on a disk here.

It is built under a scratch name, compared with what the snapshot held, and gets its name last. So a failure at any moment leaves
source and destination as they were.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from psycopg2.extensions import connection as Connection  # noqa: N812

from holdfast import figures
from holdfast.errors import HoldfastError, MigrationDiffersError, SettingsError, TimeLimitError
from holdfast.postgres import preflight
from holdfast.postgres.archive import Archive
from holdfast.postgres.compare import prove_contents, read_definitions
from holdfast.postgres.connection import DatabaseUrl, connect, connect_to_server, database_errors, rows_of, server_version
from holdfast.postgres.contents import named_roles
from holdfast.postgres.globals import RoleStatement, create_roles, drop_roles, parse_roles
from holdfast.postgres.limit import TimeLimit
from holdfast.postgres.loading import conninfo, prepare_session
from holdfast.postgres.new_database import NewDatabase
from holdfast.postgres.process import run_tool
from holdfast.postgres.script import Script
from holdfast.postgres.snapshot import Snapshot
from holdfast.postgres.tools import Tool, ToolName, find_tool
from holdfast.postgres.truth import TableTruth, Truth

_SECTIONS = ("pre-data", "data", "post-data")
_SEQUENCES = "SELECT schemaname::text, sequencename::text, last_value FROM pg_sequences"

Sequences = dict[tuple[str, str], int | None]


@dataclass(frozen=True, slots=True)
class Original:
    """What the source was in its snapshot."""

    truth: Truth
    archive: Archive


@dataclass(frozen=True, slots=True)
class MigrationOptions:
    """How to migrate. `content`: compare the rows themselves, not only their number. `rehearsal`: drop it again."""

    tools: Path | None = None
    lock_timeout_seconds: float = 30
    content: bool = False
    rehearsal: bool = False


@dataclass(slots=True)
class Migrated:
    """What was brought."""

    tables: int = 0
    rows: int = 0
    large_objects: int = 0
    content_compared: bool = False
    roles: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Describe it for a step's output."""
        return {
            "tables": self.tables,
            "rows": self.rows,
            "largeObjects": self.large_objects,
            "contentCompared": self.content_compared,
            "rolesMade": list(self.roles),
        }


class DatabaseMigration:
    """One migration of one database to `destination`, which is empty, or not there yet."""

    def __init__(self, source: DatabaseUrl, destination: DatabaseUrl, options: MigrationOptions, limit: TimeLimit) -> None:
        self._source = source
        self._destination = destination
        self._options = options
        self._limit = limit
        self._migrated = Migrated()

    def run(self) -> Migrated:
        """Migrate. Raises MigrationDiffersError, TargetNotEmptyError, and what else a backup and a restore of it would raise."""
        self._refuse_itself()
        try:
            with self._limit, Snapshot(self._source, lock_timeout_seconds=self._lock_timeout_seconds) as snapshot:
                self._refuse(snapshot)
                self._build(snapshot, self._original(snapshot))
        except HoldfastError as error:
            if self._limit.over and not isinstance(error, TimeLimitError):
                raise self._limit.error() from error
            raise
        return self._migrated

    @property
    def _lock_timeout_seconds(self) -> float:
        """How long a lock is waited for: no longer than there is time."""
        left = self._limit.remaining_seconds
        return self._options.lock_timeout_seconds if left is None else max(0.001, min(left, self._options.lock_timeout_seconds))

    # What it refuses

    def _refuse_itself(self) -> None:
        same = self._source.same_server(self._destination) and self._source.database == self._destination.database
        if same and not self._options.rehearsal:
            raise SettingsError("source and destination are the same database", reason=self._source.redacted)

    def _refuse(self, snapshot: Snapshot) -> None:
        with closing(connect_to_server(self._destination)) as connection:
            preflight.refuse_older(server_version(connection), snapshot.server.major, snapshot.server.text)
            preflight.refuse_missing_extensions(connection, [one["name"] for one in snapshot.extensions])
            exists = preflight.database_exists(connection, self._destination.database)
        if not self._options.rehearsal:
            preflight.refuse_long_name(self._destination)
            if exists:
                preflight.refuse_not_empty(self._destination)

    # What the source is

    def _original(self, snapshot: Snapshot) -> Original:
        tables = snapshot.countable()
        rows = snapshot.count_rows(tables)
        hashes = snapshot.content_hashes(tables) if self._options.content else {}
        known = [
            TableTruth(
                one.schema,
                one.name,
                one.kind,
                rows[one.key],
                one.size_bytes,
                content_hash=str(hashes[one.key]) if hashes else None,
            )
            for one in tables
        ]
        archive = read_definitions(self._source, self._tool("pg_dump"), self._limit, snapshot_id=snapshot.id)
        return Original(Truth.of(snapshot, known), archive)

    @cached_property
    def _newest_major(self) -> int:
        """The higher of both servers' versions: one tool reads both, so that both are told in the same words."""
        majors = []
        for url in (self._source, self._destination):
            with closing(connect_to_server(url)) as connection:
                majors.append(server_version(connection).major)
        return max(majors)

    def _tool(self, name: ToolName) -> Tool:
        return find_tool(name, at_least_major=self._newest_major, search=self._options.tools)

    # Building

    def _build(self, snapshot: Snapshot, original: Original) -> None:
        new, finished = NewDatabase(snapshot.database, self._destination), False
        try:
            new.create(any_locale=self._options.rehearsal)
            self._make_roles(snapshot, original)
            before = self._sequences(self._source)
            for section in _SECTIONS:
                self._stream(section, snapshot, new.url)
            moved = (before, self._sequences(self._source))
            new.apply_properties(owners=True)
            self._compare(original, new.url, moved)
            self._limit.check()
            if not self._options.rehearsal:
                new.take_name(properties=True)
                finished = True
        finally:
            self._migrated.notes += new.notes
            new.close()
            if not finished:
                self._drop_roles()

    def _make_roles(self, snapshot: Snapshot, original: Original) -> None:
        statements = self._roles(snapshot)
        wanted = named_roles(original.archive, statements) | set(original.truth.roles)
        with closing(connect_to_server(self._destination)) as connection:
            made = create_roles(connection, statements, wanted, login=not self._options.rehearsal)
        self._migrated.roles = made.created
        if made.without_password:
            self._migrated.notes.append(f"these roles were made without a password: {', '.join(made.without_password)}")

    def _roles(self, snapshot: Snapshot) -> list[RoleStatement]:
        arguments = ["--roles-only", "-w", "-d", conninfo(self._source.database)]
        arguments += [] if snapshot.may_read_passwords() else ["--no-role-passwords"]
        run = run_tool(
            self._tool("pg_dumpall"),
            arguments,
            url=self._source,
            stdout="pipe",
            time_limit_seconds=self._limit.remaining_seconds,
        )
        with self._limit.child(run) as child:
            return parse_roles(child.stdout.readall())

    def _drop_roles(self) -> None:
        if self._migrated.roles:
            with closing(connect_to_server(self._destination)) as connection:
                drop_roles(connection, self._migrated.roles)

    def _stream(self, section: str, snapshot: Snapshot, to: DatabaseUrl) -> None:
        """Run what pg_dump writes of one section at the destination while it is written, in one transaction."""
        arguments = ["-Fp", f"--section={section}", f"--snapshot={snapshot.id}", "--no-tablespaces", "--no-subscriptions", "-w"]
        arguments.append(f"--lock-wait-timeout={int(self._lock_timeout_seconds * 1000)}")
        arguments += ["--no-unlogged-table-data"] if snapshot.database["in_recovery"] else []
        run = run_tool(
            self._tool("pg_dump"),
            arguments,
            url=self._source,
            stdout="pipe",
            time_limit_seconds=self._limit.remaining_seconds,
        )
        with closing(connect(to)) as connection, self._limit.connection(connection), self._limit.child(run) as child:
            script = self._script(connection, to)
            take: Callable[[Any], None] = script.run_data if section == "data" else script.run_definitions
            take(child.stdout)
            script.execute("COMMIT")
            if section == "post-data":
                script.execute("ANALYZE")

    def _script(self, connection: Connection, to: DatabaseUrl) -> Script:
        prepare_session(connection)
        script = Script(connection, to)
        script.execute("SET synchronous_commit = off")
        script.execute("BEGIN")
        return script

    # Comparing

    def _compare(self, original: Original, there: DatabaseUrl, moved: tuple[Sequences, Sequences]) -> None:
        proof = prove_contents(original, there, any_locale=self._options.rehearsal, tools=self._options.tools, limit=self._limit)
        problems = [*proof.problems, *_sequence_problems(*moved, self._sequences(there))]
        if problems:
            raise MigrationDiffersError(
                f"what came of {self._source.redacted} is not what that holds, so it did not get its name",
                reason="; ".join(figures.first(problems, 5)),
                next_step="Nothing was changed; look whether the source is written to by something that copies can't see",
            )
        self._migrated.tables, self._migrated.rows = proof.tables_compared, proof.rows
        self._migrated.large_objects = original.truth.large_objects
        self._migrated.content_compared = proof.content_compared
        self._migrated.notes += proof.notes

    @staticmethod
    def _sequences(url: DatabaseUrl) -> Sequences:
        with closing(connect(url)) as connection, database_errors(url, "reading sequences"):
            return {(schema, name): value for schema, name, value in rows_of(connection, _SEQUENCES)}


def _sequence_problems(before: Sequences, after: Sequences, there: Sequences) -> list[str]:
    """Say which sequences stand elsewhere than at the source while it was read; no snapshot holds them still."""
    common = sorted(before.keys() & after.keys())
    wrong = [key for key in common if key not in there or not _fits(before[key], after[key], there[key])]
    return [f"sequence {'.'.join(key)} stands at {there.get(key)}, at the source at {after[key]}" for key in wrong]


def _fits(before: int | None, after: int | None, there: int | None) -> bool:
    """Tell whether a sequence stands where it may have stood in between; None: it was not used yet."""
    if before is None or after is None:
        return there is None or before != after
    return there is not None and min(before, after) <= there <= max(before, after)
