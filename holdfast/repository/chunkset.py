"""A set of chunk ids in little memory: about 34 bytes an id, where a Python set needs 110."""

from __future__ import annotations

from collections.abc import Iterator

_ID_BYTES = 32


class ChunkSet:
    """A set of 32-byte ids. Ids are digests, so the first two bytes spread them evenly."""

    def __init__(self) -> None:
        self._rows: dict[bytes, bytearray] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, chunk_id: bytes) -> bool:
        row = self._rows.get(chunk_id[:2])
        if row is None:
            return False
        at = row.find(chunk_id)
        while at >= 0 and at % _ID_BYTES:  # found across two ids: look on
            at = row.find(chunk_id, at + 1)
        return at >= 0

    def add(self, chunk_id: bytes) -> bool:
        """Add an id; return whether it was new."""
        if chunk_id in self:
            return False
        self._rows.setdefault(chunk_id[:2], bytearray()).extend(chunk_id)
        self._count += 1
        return True

    def __iter__(self) -> Iterator[bytes]:
        for row in self._rows.values():
            for at in range(0, len(row), _ID_BYTES):
                yield bytes(row[at : at + _ID_BYTES])
