"""In what stages indexes, constraints and the rest are made, so that what is made at once never waits for each other in a circle.

`pg_restore -j` only knows the locks on the tables that an entry names. An entry about a partitioned table locks its partitions
too, and one about a partition looks at its parents: of two such at once, one may end as the victim of a deadlock (seen in one of
six restores of our test database, with pg_restore 18 and nothing else). So what concerns partitioned tables is kept apart:
it is made first and attached in a row, which is quick, for nothing is built there. What needs something of a later stage, such as
an index on a function that itself needs a key, comes in that stage.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

from holdfast.postgres.archive import NO_SECTION, POST_DATA, STATISTICS, Archive, ArchiveEntry

TableName = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Stage:
    """Entries that are made before the next stage begins; side by side or in a row. None stands for all entries."""

    entries: tuple[ArchiveEntry, ...] | None
    at_once: bool


def partition_parents(archive: Archive) -> dict[TableName, TableName]:
    """Map each partition to the table that it is a partition of."""
    by_id = archive.by_id
    found: dict[TableName, TableName] = {}
    for entry in archive.entries:
        child = (entry.schema, entry.name)
        tables = [by_id[need] for need in entry.needs if need in by_id and by_id[need].kind == "TABLE"]
        for parent in [(table.schema, table.name) for table in tables] if entry.kind == "TABLE ATTACH" else ():
            if parent != child:
                found[child] = parent
    return found


def post_data_stages(
    archive: Archive, chosen: Sequence[ArchiveEntry] | None, *, made: Container[int] = frozenset()
) -> list[Stage]:
    """Divide the post-data entries, all or the chosen ones, less those made already; one stage where nothing is partitioned.

    Statistics are set apart from all of them.
    """
    parents = set(partition_parents(archive).values())
    if not parents and not made:
        return [Stage(None if chosen is None else tuple(chosen), at_once=True)]
    by_id = archive.by_id
    partitioned = {entry.id for entry in by_id.values() if entry.kind == "TABLE" and (entry.schema, entry.name) in parents}
    stages: list[list[ArchiveEntry]] = [[], [], [], []]
    stage_of: dict[int, int] = {}
    stage: int | None = None
    for entry in archive.entries if chosen is None else chosen:
        # A comment or grant has no section of its own: it follows its object, and pg_restore gives it that one's section.
        if entry.section != NO_SECTION:
            stage = None
            if entry.section == POST_DATA:
                own = _stage(entry, partitioned) if parents else 3
                stage = stage_of[entry.id] = max([own, *(stage_of.get(need, 0) for need in entry.needs)])
        if stage is not None and entry.id not in made and entry.kind != STATISTICS:
            stages[stage].append(entry)
    return [Stage(tuple(entries), at_once=number in (1, 3)) for number, entries in enumerate(stages) if entries]


def _stage(entry: ArchiveEntry, partitioned: set[int]) -> int:
    if entry.kind == "INDEX ATTACH":
        return 2
    if entry.kind in {"INDEX", "CONSTRAINT"}:
        return 0 if partitioned.intersection(entry.needs) else 1
    return 3
