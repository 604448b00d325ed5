"""Reading an entry back: its chunks in order, fetched ahead by threads, each proven before a byte of it is handed out.

The end is only reported after size and digest of the whole stream proved right.
"""

from __future__ import annotations

import hashlib
import io
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from holdfast.errors import DamagedError, ObjectNotFoundError
from holdfast.repository import chunklist, names
from holdfast.repository.manifest import Entry
from holdfast.repository.sealed import SealedObjects

_AHEAD_BYTES = 8 << 20  # of each stream, and a restore reads several: a few chunks hide the waits, more only take memory


def read(sealed: SealedObjects, entry: Entry, threads: int = 2) -> Iterator[bytes]:
    """Yield an entry's content in order. Raises DamagedError naming the object and the entry."""
    digest = hashlib.sha256()
    size_bytes = 0
    for plain in _chunks(sealed, entry, threads):
        digest.update(plain)
        size_bytes += len(plain)
        if size_bytes > entry.size_bytes:
            break
        if plain:
            yield plain
    if size_bytes != entry.size_bytes or digest.hexdigest() != entry.sha256:
        raise DamagedError(
            f"entry {entry.name!r} did not come back as it was stored",
            reason=f"{size_bytes} bytes with another digest than the manifest's {entry.size_bytes} bytes",
        )


def load_chunk(sealed: SealedObjects, chunk_id: bytes, entry: Entry) -> bytes:
    """Read a chunk of an entry. Raises DamagedError, also where it is missing."""
    try:
        return sealed.chunk(chunk_id)
    except ObjectNotFoundError as error:
        raise _damaged(entry, names.chunk(chunk_id), "it is missing") from error
    except DamagedError as error:
        raise _damaged(entry, names.chunk(chunk_id), error.reason or "it can't be read") from error


def records(sealed: SealedObjects, entry: Entry) -> Iterator[chunklist.Record]:
    """Yield the chunks of an entry in order. Raises DamagedError."""
    try:
        yield from chunklist.walk(entry, lambda chunk_id: load_chunk(sealed, chunk_id, entry))
    except ValueError as error:
        raise DamagedError(f"the chunk list of entry {entry.name!r} is damaged", reason=str(error)) from error


def _chunks(sealed: SealedObjects, entry: Entry, threads: int) -> Iterator[bytes]:
    def fetch(chunk_id: bytes, length: int) -> bytes:
        plain = load_chunk(sealed, chunk_id, entry)
        if len(plain) != length:
            raise _damaged(entry, names.chunk(chunk_id), f"it holds {len(plain)} bytes and its list says {length}")
        return plain

    ahead: deque[tuple[Future[bytes], int]] = deque()
    ahead_bytes = 0
    with ThreadPoolExecutor(threads, "holdfast-read") as pool:
        try:
            for chunk_id, length in records(sealed, entry):
                ahead.append((pool.submit(fetch, chunk_id, length), length))
                ahead_bytes += length
                while ahead_bytes > _AHEAD_BYTES:
                    future, done_bytes = ahead.popleft()
                    ahead_bytes -= done_bytes
                    yield future.result()
            while ahead:
                yield ahead.popleft()[0].result()
        finally:
            pool.shutdown(cancel_futures=True)


def _damaged(entry: Entry, name: str, reason: str) -> DamagedError:
    return DamagedError(
        f"entry {entry.name!r} can't be read: {name}",
        reason=reason,
        next_step="'holdfast verify --level read' lists all damage; the next backup heals what the source still has",
    )


class EntryStream(io.RawIOBase):
    """An entry as a file to read from."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        super().__init__()
        self._parts = parts
        self._part = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview | bytearray) -> int:  # type: ignore[override]  # the stub says Buffer of 3.12
        target = memoryview(buffer).cast("B")
        if not self._fill():
            return 0
        count = min(len(target), len(self._part))
        target[:count] = self._part[:count]
        self._part = self._part[count:]
        return count

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            return self.readall()
        if not size or not self._fill():
            return b""
        taken, self._part = self._part[:size], self._part[size:]
        return bytes(taken)

    def close(self) -> None:
        if not self.closed:
            close = getattr(self._parts, "close", None)
            if close is not None:
                close()
        super().close()

    def _fill(self) -> bool:
        """Have something in hand; False at the proven end."""
        while not self._part:
            part = next(self._parts, None)
            if part is None:
                return False
            self._part = memoryview(part)
        return True
