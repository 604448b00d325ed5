"""Sets and tables of chunk ids in little memory: about 34 bytes an id, where a Python set needs 110."""

from __future__ import annotations

from collections.abc import Iterator

_ID_BYTES = 32
_SIZED_BYTES = _ID_BYTES + 4


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


class ChunkSizes:
    """A number below 2³² for each of many chunk ids, in about 38 bytes an id."""

    def __init__(self) -> None:
        self._rows: dict[bytes, bytearray] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, chunk_id: bytes) -> bool:
        return self.get(chunk_id) is not None

    def get(self, chunk_id: bytes) -> int | None:
        row = self._rows.get(chunk_id[:2])
        at = self._find(row, chunk_id) if row is not None else -1
        return int.from_bytes(row[at + _ID_BYTES : at + _SIZED_BYTES], "big") if row is not None and at >= 0 else None

    def set(self, chunk_id: bytes, number: int) -> None:
        row = self._rows.setdefault(chunk_id[:2], bytearray())
        at = self._find(row, chunk_id)
        if at < 0:
            at = len(row)
            self._count += 1
        row[at : at + _SIZED_BYTES] = chunk_id + number.to_bytes(_SIZED_BYTES - _ID_BYTES, "big")

    def __iter__(self) -> Iterator[tuple[bytes, int]]:
        for row in self._rows.values():
            for at in range(0, len(row), _SIZED_BYTES):
                number = int.from_bytes(row[at + _ID_BYTES : at + _SIZED_BYTES], "big")
                yield bytes(row[at : at + _ID_BYTES]), number

    @staticmethod
    def _find(row: bytearray, chunk_id: bytes) -> int:
        at = row.find(chunk_id)
        while at >= 0 and at % _SIZED_BYTES:  # found across two records: look on
            at = row.find(chunk_id, at + 1)
        return at
