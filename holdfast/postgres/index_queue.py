"""Indexes and keys of the large tables, handed out to several threads, the dearest first, so that all end at about the same time.

`pg_restore -j` can't do so here: it goes by how many bytes of each table lie in its archive, and of a large table there are none.
A key is made while nobody else is at its table: it would wait for them, and a thread that waits makes nothing. So is an index
that its table is then told of (CLUSTER ON, REPLICA IDENTITY): two at once would each wait for the other, in a deadlock.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from holdfast.postgres.archive import ArchiveEntry
from holdfast.postgres.stages import TableName

# How much longer an index takes than one that is sorted and written: docs/decisions/0012-restore-speed.md has the figures.
_DEAR = 6
_CHEAP_METHODS = frozenset({"btree", "brin"})
_TOLD_TO_TABLE = "\nALTER TABLE "  # as pg_dump puts it behind the index
_METHOD = re.compile(r" USING (\w+) \(")


class IndexQueue:
    """What is still to be made. For several threads, each of which takes one after the other."""

    def __init__(self, left: Iterable[tuple[TableName, ArchiveEntry]], size_bytes: Mapping[TableName, int]) -> None:
        self._changed = threading.Condition()
        self._left = sorted(left, key=lambda one: _cost(one[1], size_bytes[one[0]]), reverse=True)
        self._at_work: dict[TableName, list[ArchiveEntry]] = {}
        self._failed = False
        self._made: set[int] = set()

    def __len__(self) -> int:
        """How many nobody has taken."""
        return len(self._left)

    @property
    def made(self) -> frozenset[int]:
        """The entries that were made."""
        with self._changed:
            return frozenset(self._made)

    @contextmanager
    def taken(self) -> Iterator[ArchiveEntry | None]:
        """Take one and make it inside the block, or None where nothing is left: after a failure, for anybody."""
        found = self._take()
        if found is None:
            yield None
            return
        table, entry = found
        try:
            yield entry
        except BaseException:
            with self._changed:
                self._failed = True
                self._changed.notify_all()
            raise
        with self._changed:
            self._at_work[table].remove(entry)
            self._made.add(entry.id)
            self._changed.notify_all()

    def _take(self) -> tuple[TableName, ArchiveEntry] | None:
        with self._changed:
            while self._left and not self._failed:
                for one in self._left:
                    if self._is_free(*one):
                        self._left.remove(one)
                        self._at_work.setdefault(one[0], []).append(one[1])
                        return one
                self._changed.wait()
        return None

    def _is_free(self, table: TableName, entry: ArchiveEntry) -> bool:
        others = self._at_work.get(table)
        return not others or all(_shares_table(one) for one in (entry, *others))


def _shares_table(entry: ArchiveEntry) -> bool:
    return entry.kind == "INDEX" and _TOLD_TO_TABLE not in entry.definition


def _cost(entry: ArchiveEntry, size_bytes: int) -> int:
    """Guess what making it takes, only so far as is needed to compare two."""
    method = _METHOD.search(entry.definition) if entry.kind == "INDEX" else None
    return size_bytes * (_DEAR if method is not None and method[1] not in _CHEAP_METHODS else 1)
