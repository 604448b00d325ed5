"""Sets and tables of chunk ids in little memory: about 34 bytes an id, where a Python set needs 110."""

from __future__ import annotations

from collections.abc import Iterator

_ID_BYTES = 32
_NUMBER_BYTES = 4


class _Records:
    """Records of one length that each begin with a 32-byte id. Ids are digests, so the first two bytes spread them evenly."""

    def __init__(self, record_bytes: int) -> None:
        self._record_bytes = record_bytes
        self._rows: dict[bytes, bytearray] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, chunk_id: bytes) -> bool:
        return self._find(chunk_id) is not None

    def _find(self, chunk_id: bytes) -> tuple[bytearray, int] | None:
        """Tell the row of an id, and where in it its record begins."""
        row = self._rows.get(chunk_id[:2])
        if row is None:
            return None
        at = row.find(chunk_id)
        while at >= 0 and at % self._record_bytes:  # found across two records: look on
            at = row.find(chunk_id, at + 1)
        return (row, at) if at >= 0 else None

    def _append(self, record: bytes) -> None:
        self._rows.setdefault(record[:2], bytearray()).extend(record)
        self._count += 1

    def _records(self) -> Iterator[bytes]:
        for row in self._rows.values():
            for at in range(0, len(row), self._record_bytes):
                yield bytes(row[at : at + self._record_bytes])


class ChunkSet(_Records):
    """A set of 32-byte ids."""

    def __init__(self) -> None:
        super().__init__(_ID_BYTES)

    def add(self, chunk_id: bytes) -> bool:
        """Add an id; return whether it was new."""
        if chunk_id in self:
            return False
        self._append(chunk_id)
        return True

    def __iter__(self) -> Iterator[bytes]:
        return self._records()


class ChunkSizes(_Records):
    """A number below 2³² for each of many chunk ids, in about 38 bytes an id."""

    def __init__(self) -> None:
        super().__init__(_ID_BYTES + _NUMBER_BYTES)

    def get(self, chunk_id: bytes) -> int | None:
        found = self._find(chunk_id)
        if found is None:
            return None
        row, at = found
        return int.from_bytes(row[at + _ID_BYTES : at + self._record_bytes], "big")

    def set(self, chunk_id: bytes, number: int) -> None:
        record = chunk_id + number.to_bytes(_NUMBER_BYTES, "big")
        found = self._find(chunk_id)
        if found is None:
            self._append(record)
            return
        row, at = found
        row[at : at + self._record_bytes] = record

    def __iter__(self) -> Iterator[tuple[bytes, int]]:
        for record in self._records():
            yield record[:_ID_BYTES], int.from_bytes(record[_ID_BYTES:], "big")
