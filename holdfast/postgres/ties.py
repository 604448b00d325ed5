"""What hung on tables that were dropped, and fell with them: views, foreign keys of other tables, rules. It is made again.

A restore of single tables leaves out what ties them to others, for that can fail where the others have moved on. Here each tie is
tried for itself, in the archive's order: what can't be made is told, and hinders nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from holdfast.errors import HoldfastError, TimeLimitError
from holdfast.postgres.archive import POST_DATA, PRE_DATA, Archive, ArchiveEntry, write_list
from holdfast.postgres.compare import dump_definitions
from holdfast.postgres.connection import DatabaseUrl, connect
from holdfast.postgres.contents import BackupContents
from holdfast.postgres.definitions import schema_objects
from holdfast.postgres.limit import TimeLimit
from holdfast.postgres.loading import prepare_session, restore_flags, restoring_tool, run_section
from holdfast.postgres.restore_report import RestoreOptions
from holdfast.postgres.script import Script

_SECTIONS = {PRE_DATA: "pre-data", POST_DATA: "post-data"}


@dataclass(slots=True)
class Ties:
    """What was made again, and what could not be, each with the reason."""

    made: list[str] = field(default_factory=list)
    not_made: list[str] = field(default_factory=list)


def restore_ties(
    contents: BackupContents, live: DatabaseUrl, tables: Collection[tuple[str, str]], limit: TimeLimit, options: RestoreOptions
) -> Ties:
    """Make again what hangs on these tables in the backup, and is not there. Raises what reading it raises."""
    there = schema_objects(dump_definitions(live, contents, limit, tools=options.tools))
    missing = [entry for entry in contents.archive.entries if (entry.kind, entry.schema, entry.name) not in there]
    ties = Ties()
    for entry in _hanging(contents.archive, missing, tables):
        try:
            _make(contents, live, [entry, *_about(contents.archive, entry)], limit, options)
        except TimeLimitError:
            raise
        except HoldfastError as error:
            limit.check()
            ties.not_made.append(f"{entry.label}: {error.reason or error.message}")
        else:
            ties.made.append(entry.label)
    return ties


def _hanging(archive: Archive, missing: Sequence[ArchiveEntry], tables: Collection[tuple[str, str]]) -> Iterator[ArchiveEntry]:
    """Yield, of what is missing, what needs one of the tables, by itself or through something else that does."""
    known = {entry.id for entry in archive.entries if entry.kind == "TABLE" and (entry.schema, entry.name) in tables}
    for entry in missing:
        if entry.section in _SECTIONS and entry.kind not in {"ACL", "COMMENT", "TABLE"} and known.intersection(entry.needs):
            known.add(entry.id)
            yield entry


def _about(archive: Archive, entry: ArchiveEntry) -> list[ArchiveEntry]:
    """List what is said of an object alone: its grants, its comment; and that a materialized view is to be filled."""
    kinds = {"ACL", "COMMENT", "MATERIALIZED VIEW DATA"}
    return [one for one in archive.entries if one.kind in kinds and one.needs[:1] == (entry.id,)]


def _make(
    contents: BackupContents, live: DatabaseUrl, entries: Sequence[ArchiveEntry], limit: TimeLimit, options: RestoreOptions
) -> None:
    tool = restoring_tool(contents, options.tools)
    arguments = [*restore_flags(options, tool), "--use-list", str(write_list(entries, contents.spool_folder))]
    encoding = contents.truth.client_encoding
    with closing(connect(live, client_encoding=encoding)) as connection, limit.connection(connection):
        prepare_session(connection)
        script = Script(connection, live)
        script.execute("BEGIN")
        script.execute(f"SET LOCAL lock_timeout = {int(options.lock_timeout_seconds * 1000)}")
        for section in _SECTIONS.values():
            run_section(contents, script, section, tool=tool, limit=limit, arguments=arguments)
        script.execute("COMMIT")
