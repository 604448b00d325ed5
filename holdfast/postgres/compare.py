"""Whether a restored database is what the source was: counts, definitions, positions and properties against the backup's truth.

The streams need no comparing here: each was proven against the source's digest while it was read. A difference is told so
that a person can find it: the object, what it was, what it is.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from psycopg2.extensions import connection as Connection  # noqa: N812

from holdfast.postgres import facts, reading
from holdfast.postgres.archive import Archive
from holdfast.postgres.connection import DatabaseUrl, connect, database_errors, qualified, server_version
from holdfast.postgres.contents import BackupContents
from holdfast.postgres.definitions import Difference, compare_definitions
from holdfast.postgres.limit import TimeLimit
from holdfast.postgres.process import run_tool
from holdfast.postgres.selection import Selection
from holdfast.postgres.tools import Tool, find_tool
from holdfast.postgres.truth import TableTruth, Truth
from holdfast.repository import Manifest, Repository

_SEQUENCE_SET = re.compile(r"setval\(.*, (-?\d+), (true|false)\)", re.DOTALL)
_PROPERTIES = ("encoding", "locale_provider", "collate", "ctype", "locale", "icu_rules", "owner", "comment", "acl", "settings")
_LOCALE = frozenset({"locale_provider", "collate", "ctype", "locale", "icu_rules"})
_AT_ONCE = 200


class Original(Protocol):
    """What a restored database is compared with: what the source knew of itself, and the definitions that it had."""

    @property
    def truth(self) -> Truth: ...
    @property
    def archive(self) -> Archive: ...


@dataclass(slots=True)
class ProofReport:
    """What a comparison found. `problems` are differences; `notes` are what could not be, or need not be, the same."""

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tables_compared: int = 0
    rows: int = 0
    content_compared: bool = False

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return not self.problems


def prove(
    repository: Repository, manifest: Manifest, restored: DatabaseUrl, *, content: bool | None = None, tools: Path | None = None
) -> ProofReport:
    """Compare a restored database with what the source was (see `prove_contents`)."""
    contents = BackupContents(repository, manifest)
    try:
        return prove_contents(contents, restored, content=content, tools=tools)
    finally:
        contents.close()


def prove_contents(
    contents: Original,
    restored: DatabaseUrl,
    *,
    content: bool | None = None,
    selection: Selection | None = None,
    owners: bool = True,
    any_locale: bool = False,
    in_place: bool = False,
    tools: Path | None = None,
    limit: TimeLimit | None = None,
) -> ProofReport:
    """Compare all of a backup (or of a database), or a selection of tables, with a restored database.

    `content` None hashes rows where the backup has hashes. `any_locale` and `owners` are as in the restore. With `in_place`, what
    was there before and stays is no difference.
    """
    report = ProofReport()
    chosen = [table for table in contents.truth.tables if selection is None or table.key in selection.tables]
    limit = limit or TimeLimit(None, "the comparison")
    encoding = contents.truth.client_encoding
    with (
        ThreadPoolExecutor(1, "holdfast-compare") as pool,
        closing(connect(restored, client_encoding=encoding)) as connection,
        limit.connection(connection),
        database_errors(restored, "comparing"),
    ):
        # pg_dump reads the definitions while the server counts.
        dumped = pool.submit(dump_definitions, restored, contents, limit, tools=tools)
        _set_for_reading(connection)
        _compare_rows(report, connection, chosen, content)
        _compare_sequences(report, connection, contents.archive, selection)
        if selection is None:
            _compare_large_objects(report, connection, contents, in_place=in_place)
            properties = _changed_properties(connection, contents, owners=owners)
            report.notes += [text for name, text in properties if in_place or (any_locale and name in _LOCALE)]
            report.problems += [text for name, text in properties if not in_place and not (any_locale and name in _LOCALE)]
    _compare_definitions(report, contents.archive, dumped.result(), selection, owners=owners, in_place=in_place)
    return report


def dump_definitions(database: DatabaseUrl, contents: Original, limit: TimeLimit, *, tools: Path | None = None) -> Archive:
    """Return the contents of a schema-only dump, by the same version of pg_dump as the backup's where there is one."""
    with closing(connect(database)) as connection:
        tool = _comparing_tool(contents, server_version(connection).major, tools)
    return read_definitions(database, tool, limit)


def read_definitions(database: DatabaseUrl, tool: Tool, limit: TimeLimit, *, snapshot_id: str | None = None) -> Archive:
    """Return the contents of a schema-only dump by this pg_dump, as of a snapshot or of now."""
    # pg_dump locks all tables in its one transaction, like any dump; the time-out is against whoever alters them for long.
    arguments = ["-Fc", "-Z0", "--schema-only", "--no-subscriptions", "-w", "--lock-wait-timeout=60s"]
    arguments += [f"--snapshot={snapshot_id}"] if snapshot_id else []
    run = run_tool(tool, arguments, url=database, stdout="pipe", time_limit_seconds=limit.remaining_seconds)
    with limit.child(run) as child, io.BufferedReader(child.stdout) as output:
        archive = Archive.read_head(output, f"the definitions of {database.database}")
        while output.read(1 << 20):
            pass
    return archive


def _set_for_reading(connection: Connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute(reading.reading_settings(server_version(connection).major, 0))


def _compare_rows(report: ProofReport, connection: Connection, tables: Sequence[TableTruth], content: bool | None) -> None:
    there = _existing(connection)
    compared = [table for table in tables if table.key in there]
    report.problems += [f"missing: TABLE {table.schema}.{table.name}" for table in tables if table.key not in there]
    counted = reading.count_rows(connection, compared)
    for table in compared:
        if counted[table.key] != table.rows:
            report.problems.append(f"{table.schema}.{table.name} has {counted[table.key]} rows, the source had {table.rows}")
    report.tables_compared, report.rows = len(compared), sum(counted.values())
    hashed = [table for table in compared if table.content_hash is not None]
    if content is False or not hashed:
        if content:
            report.notes.append("the rows' content was not compared: the backup holds no hashes of it")
        return
    hashes = reading.content_hashes(connection, hashed)
    for table in hashed:
        if str(hashes[table.key]) != table.content_hash:
            report.problems.append(f"the rows of {table.schema}.{table.name} are not those of the source")
    report.content_compared = True


def _existing(connection: Connection) -> set[tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT n.nspname::text, c.relname::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
            "WHERE c.relkind IN ('r', 'p', 'S')"
        )
        return {(schema, name) for schema, name in cursor.fetchall()}


def _compare_sequences(report: ProofReport, connection: Connection, archive: Archive, selection: Selection | None) -> None:
    chosen = selection.entries if selection else archive.entries
    wanted = {
        (entry.schema, entry.name): match
        for entry in chosen
        if entry.kind == "SEQUENCE SET" and (match := _SEQUENCE_SET.search(entry.definition))
    }
    there = _existing(connection)
    keys = [key for key in wanted if key in there]
    for start in range(0, len(keys), _AT_ONCE):
        batch = keys[start : start + _AT_ONCE]
        parts = [f"SELECT {number}, last_value, is_called FROM {qualified(*key)}" for number, key in enumerate(batch)]  # noqa: S608
        with connection.cursor() as cursor:
            cursor.execute(" UNION ALL ".join(parts))
            for number, value, called in cursor.fetchall():
                match = wanted[batch[number]]
                if (int(match[1]), match[2] == "true") != (value, called):
                    report.problems.append(f"sequence {'.'.join(batch[number])} stands at {value}, in the backup at {match[1]}")


def _compare_large_objects(report: ProofReport, connection: Connection, contents: Original, *, in_place: bool) -> None:
    there, wanted = facts.large_objects(connection), contents.truth.large_objects
    if there < wanted or (there > wanted and not in_place):
        report.problems.append(f"there are {there} large objects, the source had {wanted}")


def _changed_properties(connection: Connection, contents: Original, *, owners: bool) -> list[tuple[str, str]]:
    """Compare the databases' own properties; return each that differs, and what of it."""
    before, after = contents.truth.database, facts.database_facts(connection)
    found = []
    for name in _PROPERTIES:
        one, other = _comparable(name, before[name], owners), _comparable(name, after[name], owners)
        if one != other and (owners or name not in {"owner", "acl"}):
            found.append((name, f"the database's {name.replace('_', ' ')} was {one!r} and is {other!r}"))
    return found


def _comparable(name: str, value: object, owners: bool) -> object:
    if name == "acl" and isinstance(value, list):
        return sorted(value)
    if name == "settings" and isinstance(value, list):
        return sorted((group["role"] or "", sorted(group["settings"])) for group in value if owners or group["role"] is None)
    return value


def _compare_definitions(
    report: ProofReport, source: Archive, after: Archive, selection: Selection | None, *, owners: bool, in_place: bool
) -> None:
    same_version = _major(source.server_version) == _major(after.server_version) and _major(source.tool_version) == _major(
        after.tool_version
    )
    if selection:
        source = Archive(selection.entries, source.database, source.server_version, source.tool_version)
    for difference in compare_definitions(source, after, same_version=same_version, owners=owners):
        text = str(difference)
        if difference.what == "not in the source":
            if selection is None and not in_place:
                report.problems.append(text)
        elif difference.what == "differs" and (not same_version or _is_there_already(difference, selection, in_place=in_place)):
            report.notes.append(text)
        else:
            report.problems.append(text)
    if not same_version:
        report.notes.append(
            f"the source was PostgreSQL {source.server_version}, dumped by {source.tool_version}; this is "
            f"{after.server_version}, dumped by {after.tool_version}: what they print in different ways counts as a note"
        )


def _is_there_already(difference: Difference, selection: Selection | None, *, in_place: bool) -> bool:
    """Whether an object was in the database before the restore, and was left as it is."""
    if not in_place:
        return False
    kind, name = difference.object.kind, difference.object.name
    if selection:
        return (difference.object.schema, name) not in selection.tables and kind not in {
            "INDEX",
            "CONSTRAINT",
            "DEFAULT",
            "TRIGGER",
        }
    return kind in {"SCHEMA", "EXTENSION", "DEFAULT ACL"} or name.startswith(("SCHEMA ", "EXTENSION "))


def _comparing_tool(contents: Original, server_major: int, tools: Path | None) -> Tool:
    return find_tool("pg_dump", at_least_major=max(server_major, _major(contents.archive.tool_version)), search=tools)


def _major(version: str) -> int:
    match = re.match(r"\d+", version)
    return int(match[0]) if match else 0
