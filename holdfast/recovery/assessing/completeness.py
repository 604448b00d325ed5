"""What the newest good backup of a database has and the live one has not: tables by name, and rows by number.

Only tables that had rows count. A table that was dropped on purpose can't be told from one that was lost, so a person is asked; a
partition that is gone while its parent is there has in all likelihood been let go because of its age, and an emptied table may
be meant: both are told, and are no loss.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError
from holdfast.postgres.contents import BackupContents
from holdfast.recovery.assessing.reference import Reference, newest_reference

if TYPE_CHECKING:
    from holdfast.postgres.url import DatabaseUrl
    from holdfast.recovery.world import World

Json = dict[str, Any]
Key = tuple[str, str]

_MOST_NAMED = 20
_NAME = r'"(?:[^"]|"")+"|[^".\s]+'
_ATTACH = re.compile(rf"ALTER TABLE (?:ONLY )?(?P<schema>{_NAME})\.(?P<name>{_NAME}) ATTACH PARTITION ")
_FEWER = 0.5
"""A table with less than this share of the rows that it had is told."""


@dataclass(slots=True)
class Completeness:
    """How a database compares with its newest good backup; `not_compared` says why it does not."""

    reference: Reference | None = None
    not_compared: str | None = None
    rows: dict[Key, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    partitions: list[str] = field(default_factory=list)

    @property
    def emptied(self) -> bool:
        """Whether nothing is left of all tables that had rows."""
        with_rows = sum(1 for rows in self.rows.values() if rows)
        return with_rows > 0 and len(self.missing) + len(self.partitions) == with_rows

    def fewer(self, now: Mapping[str, int]) -> dict[str, list[int]]:
        """Name the tables that are there and hold far fewer rows: rows now, rows in the backup."""
        before = {f"{schema}.{name}": rows for (schema, name), rows in self.rows.items() if rows}
        found = {name: [now[name], rows] for name, rows in before.items() if name in now and now[name] < rows * _FEWER}
        return dict(sorted(found.items(), key=lambda one: one[1][0] - one[1][1])[:_MOST_NAMED])

    def document(self) -> Json:
        """Describe it for a verdict's evidence."""
        found: Json = {"notCompared": self.not_compared} if self.not_compared else {}
        if self.reference is not None:
            found["backup"] = self.reference.document()
        if self.partitions:
            found["droppedPartitions"] = self.partitions[:_MOST_NAMED]
        return found


def compare_with_backup(world: World, url: DatabaseUrl, present: Collection[Key]) -> Completeness:
    """Compare the relations that are present with what the newest good backup knows. Raises nothing: see `not_compared`."""
    reference = newest_reference(world, "database")
    if isinstance(reference, str):
        return Completeness(not_compared=reference)
    found = Completeness(reference)
    if (name := reference.manifest.source.get("database")) != url.database:
        found.not_compared = f"the newest good backup is of another database, {name!r}"
        return found
    contents = BackupContents(reference.repository, reference.manifest)
    try:
        found.rows = {table.key: table.rows for table in contents.truth.tables}
        gone = [key for key, rows in sorted(found.rows.items()) if rows and key not in present]
        partitions = _partitions(contents, present) if gone else set()
    except HoldfastError as error:
        found.not_compared = f"the newest good backup can't be read: {error.what_and_why}"
        return found
    found.missing = [f"{schema}.{name}" for schema, name in gone if (schema, name) not in partitions]
    found.partitions = [f"{schema}.{name}" for schema, name in gone if (schema, name) in partitions]
    return found


def _partitions(contents: BackupContents, present: Collection[Key]) -> set[Key]:
    """Name the tables of a backup that were partitions, at any depth, of one that is still there."""
    attached = [entry for entry in contents.archive.entries if entry.kind == "TABLE ATTACH"]
    parents = {(entry.schema, entry.name): _parent(entry.definition) for entry in attached}
    return {key for key in parents if any(one in present for one in _above(key, parents))}


def _above(key: Key, parents: Mapping[Key, Key | None]) -> Iterator[Key]:
    while (parent := parents.get(key)) is not None:
        yield parent
        key = parent


def _parent(definition: str) -> Key | None:
    found = _ATTACH.match(definition)
    return None if found is None else (_plain(found["schema"]), _plain(found["name"]))


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
