"""Indexes and keys that are made while other tables are still being filled, so that no core waits for the largest table.

Whoever has filled a large table, and finds no other one waiting to be filled, makes that table's keys and indexes for as long as
somebody else is still filling. What is left then is made by all hands at once (see `index_queue.py`, and for what belongs to no
large table, `stages.py`). What needs more than tables and other indexes that come after the rows is left to those: only there
is it made when its needs are. Nor is one made early that calls a function: that may look into tables that are not filled yet.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from holdfast.postgres.archive import POST_DATA, ArchiveEntry
from holdfast.postgres.stages import TableName

# One may need another (a partition's its parent's) to be attached to it, which is a step of its own: not to be made.
_KINDS = frozenset({"INDEX", "CONSTRAINT"})


class EarlyIndexes:
    """Keeps account of who is filling what, and of what was made. For several threads at once."""

    def __init__(self, entries: Sequence[ArchiveEntry], tables: Sequence[TableName]) -> None:
        self._lock = threading.Lock()
        self._waiting = set(tables)
        self._filling = 0
        self._made: set[int] = set()
        self._functions = {entry.id for entry in entries if entry.kind == "FUNCTION"}
        names = {entry.id: (entry.schema, entry.name) for entry in entries if entry.kind == "TABLE"}
        self._of_table: dict[TableName, list[ArchiveEntry]] = {table: [] for table in tables}
        # A function whose body leans on a primary key comes after the rows, and an index on that function after both.
        later = {entry.id for entry in entries if entry.section == POST_DATA and entry.kind not in _KINDS}
        plain = [entry for entry in entries if _is_plain(entry) and later.isdisjoint(entry.needs)]
        # Keys first: making one shuts all others out of the table.
        for entry in sorted(plain, key=lambda one: one.kind != "CONSTRAINT"):
            owners = {names[need] for need in entry.needs if need in names}
            if len(owners) == 1 and (owner := owners.pop()) in self._of_table:
                self._of_table[owner].append(entry)

    @property
    def made(self) -> frozenset[int]:
        """The entries that need not be made any more."""
        with self._lock:
            return frozenset(self._made)

    @property
    def left(self) -> list[tuple[TableName, ArchiveEntry]]:
        """What of the tables' own is still to be made."""
        made = self.made
        return [(table, entry) for table, entries in self._of_table.items() for entry in entries if entry.id not in made]

    @contextmanager
    def filling(self, table: TableName | None) -> Iterator[None]:
        """Tell that a table (None: the small ones) is being filled inside the block."""
        with self._lock:
            if table is not None:
                self._waiting.discard(table)
            self._filling += 1
        try:
            yield
        finally:
            with self._lock:
                self._filling -= 1

    def worth_making(self, table: TableName) -> Iterator[ArchiveEntry]:
        """Hand out entries of a filled table for as long as the others still fill; one is made when the next is asked for."""
        for entry in self._of_table.get(table, ()):
            if not self._functions.isdisjoint(entry.needs):
                continue
            with self._lock:
                if self._waiting or not self._filling:
                    return
                if entry.id in self._made:
                    continue
            yield entry
            with self._lock:
                self._made.add(entry.id)


def _is_plain(entry: ArchiveEntry) -> bool:
    """Whether an entry is an index or key whose text can be sent as it is: it may hold bytes that are no letters."""
    return entry.kind in _KINDS and not any("\udc80" <= letter <= "\udcff" for letter in entry.definition)
