"""Which objects of an archive a restore of single tables needs.

A table comes with what belongs to it alone (indexes, constraints, triggers, policies, owned sequences, comments, grants), with
its partitions, and with the types, functions and schemas without which it could not be made. What ties it to tables that were
not asked for (a foreign key, a rule) is left out, and told.
"""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass

from holdfast.errors import NotFoundError
from holdfast.postgres.archive import Archive, ArchiveEntry
from holdfast.postgres.connection import qualified
from holdfast.postgres.stages import TableName, partition_parents

_RELATIONS = frozenset({"TABLE", "VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE"})
_OF_A_TABLE = frozenset(
    {
        *("CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT", "INDEX", "INDEX ATTACH", "TABLE ATTACH", "TRIGGER", "RULE"),
        *("POLICY", "ROW SECURITY", "STATISTICS", "DEFAULT", "SEQUENCE", "SEQUENCE OWNED BY", "COMMENT", "ACL", "SECURITY LABEL"),
        *("TABLE DATA", "SEQUENCE SET", "STATISTICS DATA"),
    }
)
_STANDS_ALONE = frozenset({"CONSTRAINT", "INDEX"})  # of a partition: needs its parent's only to be attached to it


@dataclass(frozen=True, slots=True)
class Selection:
    """What to restore, in the archive's order; `left_out` says in words what was asked for by none and needed by some."""

    tables: frozenset[TableName]
    entries: tuple[ArchiveEntry, ...]
    left_out: tuple[str, ...] = ()

    def without(self, there: Iterable[ArchiveEntry]) -> Selection:
        """Leave out what the target has already."""
        known = {entry.id for entry in there}
        return Selection(self.tables, tuple(entry for entry in self.entries if entry.id not in known), self.left_out)


def select(archive: Archive, patterns: Iterable[str]) -> Selection:
    """Choose tables by name: `table`, `schema.table`, a quoted name, or either with * and ?.

    Raises NotFoundError, with names that are near, for a pattern that no table has.
    """
    tables = {(entry.schema, entry.name): entry for entry in archive.entries if entry.kind == "TABLE"}
    wanted: set[TableName] = set()
    for pattern in patterns:
        wanted |= _matching(pattern, tables)
    parents = partition_parents(archive)
    while children := {child for child, parent in parents.items() if parent in wanted} - wanted:
        wanted |= children
    return _Choice(archive, {tables[name] for name in wanted}, {tables[child].id for child in parents}).selection()


def _matching(pattern: str, tables: dict[TableName, ArchiveEntry]) -> set[TableName]:
    """The strictest reading that some table answers to."""
    for matches in (
        lambda name: pattern == qualified(*name),
        lambda name: pattern == ".".join(name),
        lambda name: pattern == name[1],
        lambda name: fnmatch.fnmatchcase(".".join(name), pattern) or fnmatch.fnmatchcase(name[1], pattern),
    ):
        if found := {name for name in tables if matches(name)}:
            return found
    names = [".".join(name) for name in tables]
    near = difflib.get_close_matches(pattern, [*names, *(name for _, name in tables)], n=5, cutoff=0.5)
    raise NotFoundError(
        f"the backup has no table {pattern!r}",
        reason=f"near to it are {', '.join(near)}" if near else f"it has {len(names)} tables",
        next_step="Name it as schema.table, exactly as in the database",
    )


class _Choice:
    """Grows from the tables to all that must come with them."""

    def __init__(self, archive: Archive, tables: set[ArchiveEntry], partitions: set[int]) -> None:
        self._archive = archive
        self._by_id = archive.by_id
        self._tables = tables
        self._partitions = partitions
        self._own = {table.id for table in tables}
        self._chosen: set[int] = set()
        self._left_out: list[str] = []

    def selection(self) -> Selection:
        for table in sorted(self._tables, key=lambda entry: entry.id):
            self._require(table)
        refused: set[int] = set()
        while added := self._grow(refused):
            self._chosen |= added
        # Comments, grants and owners of the helpers: their schemas, types, functions and so on.
        for entry in self._archive.entries:
            if entry.kind in {"ACL", "COMMENT"} and entry.needs and self._known(entry.needs[:1]):
                self._chosen.add(entry.id)
        names = frozenset((table.schema, table.name) for table in self._tables)
        entries = tuple(entry for entry in self._archive.entries if entry.id in self._chosen)
        return Selection(names, entries, tuple(self._left_out))

    def _grow(self, refused: set[int]) -> set[int]:
        """Add what belongs to what is ours already; return what was added."""
        before = set(self._chosen)
        for entry in self._archive.entries:
            if entry.kind not in _OF_A_TABLE or entry.id in self._chosen or entry.id in refused:
                continue
            if not any(need in self._own for need in entry.needs):
                continue
            strangers = [need for need in self._hard_needs(entry) if self._is_strange(need)]
            if strangers:
                refused.add(entry.id)
                if entry.kind not in {"INDEX ATTACH", "TABLE ATTACH"} and self._is_named_after_ours(entry):
                    stranger = min((self._by_id[need] for need in strangers), key=lambda one: one.kind not in _RELATIONS)
                    self._left_out.append(f"{entry.label} (it needs {stranger.label})")
                continue
            self._require(entry)
            self._own.add(entry.id)
        return self._chosen - before

    def _require(self, entry: ArchiveEntry) -> None:
        """Choose an entry and, first, what it can't be made without."""
        waiting = [entry]
        while waiting:
            one = waiting.pop()
            if one.id in self._chosen:
                continue
            self._chosen.add(one.id)
            waiting.extend(self._by_id[need] for need in self._hard_needs(one))

    def _hard_needs(self, entry: ArchiveEntry) -> list[int]:
        needs = [need for need in entry.needs if need in self._by_id]
        if entry.kind in _STANDS_ALONE:
            return [need for need in needs if self._by_id[need].kind not in _STANDS_ALONE]
        if entry.kind == "TABLE" and entry.id in self._partitions:
            return [need for need in needs if self._by_id[need].kind != "TABLE"]
        return needs

    def _is_strange(self, need: int) -> bool:
        """Whether an object belongs to a relation that was not asked for."""
        entry = self._by_id[need]
        if need in self._chosen:
            return False
        if entry.kind in _RELATIONS:
            return True
        return entry.kind in _OF_A_TABLE and any(self._is_strange(one) for one in entry.needs if one in self._by_id)

    def _is_named_after_ours(self, entry: ArchiveEntry) -> bool:
        """Whether an entry, whose name begins with its table's, is of a table that was asked for."""
        return any(entry.schema == table.schema and entry.name.startswith(f"{table.name} ") for table in self._tables)

    def _known(self, needs: Iterable[int]) -> bool:
        return all(need in self._chosen for need in needs)
