"""Restores into a database that exists, in one transaction: either all of it is there afterwards, or nothing has changed.

With mode `in_place` what the backup has is dropped and made again; what only the live database has stays, and is told. With
single tables and mode `new` nothing is dropped: they are added beside what is there. Row counts are compared before the commit.
Whoever uses the tables waits meanwhile, and who holds them longer than the lock time-out makes the restore give up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812

from holdfast.errors import NotProvenError, TargetNotEmptyError
from holdfast.postgres import reading
from holdfast.postgres.archive import Archive, ArchiveEntry, write_list
from holdfast.postgres.compare import ProofReport, dump_definitions, prove_contents
from holdfast.postgres.connection import DatabaseUrl, connect, database_errors
from holdfast.postgres.contents import BackupContents, TableStream, as_readable
from holdfast.postgres.default_privileges import DefaultPrivileges
from holdfast.postgres.definitions import Key, schema_objects
from holdfast.postgres.drops import drop_for_restore
from holdfast.postgres.limit import TimeLimit
from holdfast.postgres.loading import WatchedSource, check_rows, prepare_session, restore_flags, restoring_tool, run_section
from holdfast.postgres.promote import DURABLE
from holdfast.postgres.restore_report import RestoreOptions
from holdfast.postgres.script import Script
from holdfast.postgres.selection import Selection

# Kept where the live database has them: what else lives in them, or was made by them, is not the restore's to drop.
_KEPT = frozenset({"SCHEMA", "EXTENSION"})
_MADE_ELSEWHERE = frozenset({"DATABASE", "DATABASE PROPERTIES", "ENCODING", "STDSTRINGS", "SEARCHPATH"})


@dataclass(slots=True)
class Outcome:
    """What to tell of it."""

    proof: ProofReport
    notes: list[str] = field(default_factory=list)


def restore_in_transaction(
    contents: BackupContents,
    target: DatabaseUrl,
    limit: TimeLimit,
    options: RestoreOptions,
    *,
    selection: Selection | None,
    on_bytes: Callable[[int], None],
) -> Outcome:
    """Restore. Raises RefusedError or TargetNotEmptyError naming what is in the way, TableLockedError, DamagedError, …"""
    work = _InPlace(contents, target, limit, options, selection=selection, on_bytes=on_bytes)
    work.run()
    proof = prove_contents(
        contents, target, selection=selection, owners=options.owners, in_place=True, tools=options.tools, limit=limit
    )
    return Outcome(proof, work.notes)


class _InPlace:
    def __init__(
        self,
        contents: BackupContents,
        target: DatabaseUrl,
        limit: TimeLimit,
        options: RestoreOptions,
        *,
        selection: Selection | None,
        on_bytes: Callable[[int], None],
    ) -> None:
        self.notes: list[str] = []
        self._contents = contents
        self._target = target
        self._limit = limit
        self._options = options
        self._selection = selection
        self._on_bytes = on_bytes
        self._replace = options.mode == "in_place"

    def run(self) -> None:
        live = dump_definitions(self._target, self._contents, self._limit, tools=self._options.tools)
        there = schema_objects(live)
        entries = self._entries(there)
        self._tell_what_stays(there, entries)
        self._contents.base_path(self._on_bytes)
        encoding = self._contents.truth.client_encoding
        with closing(connect(self._target, client_encoding=encoding)) as connection, self._limit.connection(connection):
            self._in_transaction(connection, entries)
        if self._options.analyze:
            self._analyze()

    def _in_transaction(self, connection: Connection, entries: list[ArchiveEntry]) -> None:
        prepare_session(connection)
        script = Script(connection, self._target)
        privileges = DefaultPrivileges(connection)
        script.execute("BEGIN")
        script.execute(DURABLE)
        script.execute(f"SET LOCAL lock_timeout = {int(self._options.lock_timeout_seconds * 1000)}")
        with database_errors(self._target, "setting default privileges aside"):
            privileges.set_aside()
        if self._replace:
            drop_for_restore(connection, self._target, self._dropped(entries))
        self._sections(script, entries)
        with database_errors(self._target, "putting default privileges back"):
            privileges.put_back(_default_privileges(entries))
        self._compare_counts(connection)
        self._limit.check()
        script.execute("COMMIT")

    def _sections(self, script: Script, entries: Sequence[ArchiveEntry]) -> None:
        tool = restoring_tool(self._contents, self._options.tools)
        arguments = [*restore_flags(self._options, tool), "--use-list", str(write_list(entries, self._contents.spool_folder))]
        run = partial(run_section, self._contents, script, tool=tool, limit=self._limit, arguments=arguments)
        run("pre-data")
        run("data")
        for stream in self._streams():
            statement = stream.copy_statement(self._contents.encoding, freeze=False)
            with self._contents.open(stream.entry) as source:
                watched = WatchedSource(as_readable(source), self._limit, self._on_bytes)
                check_rows(stream, script.copy(statement, watched))
        run("post-data")

    def _streams(self) -> list[TableStream]:
        return [one for one in self._contents.streams if self._selection is None or one.table.key in self._selection.tables]

    def _entries(self, there: dict[Key, ArchiveEntry]) -> list[ArchiveEntry]:
        """Choose what is made: all but what stays."""
        entries = self._selection.entries if self._selection else self._contents.archive.entries
        if self._selection is None or self._replace:
            own = self._selection.tables if self._selection else None
            stays = [entry for entry in entries if _key(entry) in there and (entry.kind in _KEPT or _is_helper(entry, own))]
        else:
            stays = [entry for entry in entries if _key(entry) in there]
            self._refuse_present(stays)
        ids = {entry.id for entry in stays}
        # Comments and grants of what stays are its own affair where only tables were asked for.
        ids |= {
            entry.id for entry in entries if self._selection and entry.kind in {"ACL", "COMMENT"} and set(entry.needs[:1]) & ids
        }
        return [entry for entry in entries if entry.id not in ids and entry.kind not in _MADE_ELSEWHERE]

    def _refuse_present(self, stays: Sequence[ArchiveEntry]) -> None:
        assert self._selection is not None  # noqa: S101  only then are tables added beside others
        present = [entry for entry in stays if entry.kind in {"TABLE", "SEQUENCE"}]
        if present:
            raise TargetNotEmptyError(
                f"the database {self._target.database!r} has {present[0].label} already",
                reason="single tables are only added where nothing has their name"
                if len(present) == 1
                else f"and {len(present) - 1} more",
                next_step="Restore into another database, or use mode in_place to replace them",
            )

    def _dropped(self, entries: Sequence[ArchiveEntry]) -> Archive:
        archive = self._contents.archive
        if self._selection is None:
            return Archive(tuple(entries), archive.database, archive.server_version, archive.tool_version)
        tables = tuple(one for one in entries if one.kind == "TABLE" and (one.schema, one.name) in self._selection.tables)
        return Archive(tables, archive.database, archive.server_version, archive.tool_version)

    def _tell_what_stays(self, there: dict[Key, ArchiveEntry], entries: Sequence[ArchiveEntry]) -> None:
        if self._selection:
            self.notes += [f"left out: {text}" for text in self._selection.left_out]
            return
        backup = schema_objects(self._contents.archive)
        kinds = {
            "TABLE",
            "VIEW",
            "MATERIALIZED VIEW",
            "FOREIGN TABLE",
            "SEQUENCE",
            "FUNCTION",
            "PROCEDURE",
            "TYPE",
            "DOMAIN",
            "SCHEMA",
        }
        extra = [entry.label for key, entry in there.items() if key not in backup and entry.kind in kinds]
        if extra:
            more = f" and {len(extra) - 20} more" if len(extra) > 20 else ""
            self.notes.append(f"kept, for the backup does not have them: {', '.join(extra[:20])}{more}")

    def _compare_counts(self, connection: Connection) -> None:
        tables = [one for one in self._contents.truth.tables if self._selection is None or one.key in self._selection.tables]
        with database_errors(self._target, "counting the restored rows"):
            counted = reading.count_rows(connection, tables)
        wrong = [
            f"{one.schema}.{one.name} has {counted[one.key]} of {one.rows} rows" for one in tables if counted[one.key] != one.rows
        ]
        if wrong:
            raise NotProvenError(
                "what was restored is not what the source held; nothing was changed", reason="; ".join(wrong[:5])
            )

    def _analyze(self) -> None:
        """Gather the planner's statistics; what was committed stays good without them."""
        with (
            closing(connect(self._target)) as connection,
            self._limit.connection(connection),
            connection.cursor() as cursor,
            suppress(psycopg2.Error),
        ):
            cursor.execute("ANALYZE")


def _key(entry: ArchiveEntry) -> Key:
    return (entry.kind, entry.schema, entry.name)


def _is_helper(entry: ArchiveEntry, tables: frozenset[tuple[str, str]] | None) -> bool:
    """Whether an entry is needed by single tables and is not theirs: a type, a function, a table that they inherit from."""
    if tables is None:
        return False
    if entry.kind == "TABLE":
        return (entry.schema, entry.name) not in tables
    return entry.kind in {
        *("TYPE", "DOMAIN", "FUNCTION", "PROCEDURE", "AGGREGATE", "OPERATOR", "OPERATOR CLASS", "OPERATOR FAMILY", "COLLATION"),
        *("CAST", "TEXT SEARCH CONFIGURATION", "TEXT SEARCH DICTIONARY", "PROCEDURAL LANGUAGE", "ACCESS METHOD"),
    }


def _default_privileges(entries: Sequence[ArchiveEntry]) -> list[tuple[str, str, str]]:
    prefix = "DEFAULT PRIVILEGES FOR "
    return [(one.owner, one.schema, one.name.removeprefix(prefix)) for one in entries if one.kind == "DEFAULT ACL"]
