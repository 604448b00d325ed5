"""The list of a stream's chunks: 36-byte records, themselves kept in chunks, with a list of those above, up to one root.

Where a list is cut depends on the ids in it alone, so an unchanged stretch of a stream gives the same list chunk again. A
record is never split, so every list chunk can be read by itself.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from holdfast.repository.manifest import Entry, Root

_RECORD = struct.Struct(">32sI")
_RECORDS_MIN = 1 << 10
_RECORDS_MAX = 1 << 14
_CUT_MASK = 0x0FFF  # one id in 4096 ends a list

Record = tuple[bytes, int]


class ChunkList:
    """Builds the list of one stream while its chunks come; `keep` stores a list chunk and returns its id."""

    def __init__(self, keep: Callable[[bytes], bytes]) -> None:
        self._keep = keep
        self._levels: list[bytearray] = []
        self._last: list[Record] = []
        self._counts: list[int] = []

    def add(self, chunk_id: bytes, length: int) -> None:
        self._add(0, chunk_id, length)

    def finish(self) -> Root:
        """Store what is left and return the root. There must be at least one chunk."""
        chunks = self._counts[0]
        level = 0
        while self._counts[level] > 1:
            if self._levels[level]:
                self._store(level)
            level += 1
        return Root(self._last[level][0].hex(), level, chunks)

    def _add(self, level: int, chunk_id: bytes, length: int) -> None:
        if level == len(self._levels):
            self._levels.append(bytearray())
            self._last.append((chunk_id, length))
            self._counts.append(0)
        pending = self._levels[level]
        pending += _RECORD.pack(chunk_id, length)
        self._last[level] = (chunk_id, length)
        self._counts[level] += 1
        records = len(pending) // _RECORD.size
        may_end = records >= _RECORDS_MIN and not int.from_bytes(chunk_id[:2], "big") & _CUT_MASK
        if may_end or records >= _RECORDS_MAX:
            self._store(level)

    def _store(self, level: int) -> None:
        content = bytes(self._levels[level])
        self._levels[level].clear()
        self._add(level + 1, self._keep(content), len(content))


def records(content: bytes | memoryview) -> Iterator[Record]:
    """Read the records of one list chunk. Raises ValueError where it is none."""
    if len(content) % _RECORD.size or not content:
        raise ValueError("it is no list of chunks")
    return _RECORD.iter_unpack(content)


def walk(entry: Entry, load: Callable[[bytes], bytes | memoryview]) -> Iterator[Record]:
    """Yield the data chunks of an entry in order; `load` reads a list chunk. Raises ValueError, and what `load` raises."""
    if entry.root.depth == 0:
        return iter([(entry.root.chunk_id, entry.size_bytes)])
    return _walk(entry.root.chunk_id, entry.root.depth, load)


def _walk(chunk_id: bytes, depth: int, load: Callable[[bytes], bytes | memoryview]) -> Iterator[Record]:
    for record in records(load(chunk_id)):
        if depth == 1:
            yield record
        else:
            yield from _walk(record[0], depth - 1, load)
