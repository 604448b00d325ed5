"""Taking streams in: read, cut by content, then hash, pack and put on threads, with a bounded window of bytes between.

Reading, cutting and the stream's digest are the caller's thread's; the rest is shared by all streams of a backup.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, cast

from pyfastcdc import FastCDC

from holdfast.repository.chunklist import ChunkList
from holdfast.repository.chunkstore import ChunkStore
from holdfast.repository.compression import Compression
from holdfast.repository.description import CHUNK_BYTES_AVG, CHUNK_BYTES_MAX, CHUNK_BYTES_MIN
from holdfast.repository.lease import Lease
from holdfast.repository.manifest import Root
from holdfast.repository.window import Window

WINDOW_BYTES = 48 << 20
_LISTS = Compression("none")  # ids do not shrink


class ReadsInto(Protocol):
    """A source that fills a buffer; the faster kind."""

    def readinto(self, buffer: memoryview, /) -> int | None: ...


class Reads(Protocol):
    """A source that returns bytes, none at its end."""

    def read(self, size: int, /) -> bytes: ...


Readable = ReadsInto | Reads


@dataclass(frozen=True, slots=True)
class Taken:
    """A stream that is stored whole."""

    size_bytes: int
    sha256: str
    root: Root
    lines: int | None


class Intake:
    """Takes the streams of one backup in, several at once if need be."""

    def __init__(self, chunks: ChunkStore, lease: Lease, *, seed: int, compression: Compression, threads: int) -> None:
        self._chunks = chunks
        self._lease = lease
        self._seed = seed
        self._compression = compression
        self._window = Window(WINDOW_BYTES)
        self._pool = ThreadPoolExecutor(threads, "holdfast-write")

    def take(self, source: Readable, *, count_lines: bool, on_progress: Callable[[int], None] | None) -> Taken:
        """Store a stream to its end. Raises what the source or the storage raises, and LeaseLostError."""
        pending: deque[tuple[Future[bytes], int]] = deque()
        try:
            return self._take(source, pending, count_lines, on_progress)
        finally:
            for future, _ in pending:  # only after a failure: let what is under way end before the caller goes on
                if not future.cancel():
                    future.exception()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _take(
        self,
        source: Readable,
        pending: deque[tuple[Future[bytes], int]],
        count_lines: bool,
        on_progress: Callable[[int], None] | None,
    ) -> Taken:
        chunks = ChunkList(lambda content: self._submit(content, _LISTS).result())
        digest = hashlib.sha256()
        size_bytes = 0
        lines = 0 if count_lines else None
        for part in self._cut(source):
            self._lease.check_locally()
            plain = bytes(part)  # the cutter uses its buffer again
            pending.append((self._submit(plain, self._compression), len(plain)))
            digest.update(plain)
            size_bytes += len(plain)
            if lines is not None:
                lines += plain.count(b"\n")
            if on_progress is not None:
                on_progress(size_bytes)
            while pending and pending[0][0].done():
                future, length = pending.popleft()
                chunks.add(future.result(), length)
        if not size_bytes:
            pending.append((self._submit(b"", self._compression), 0))
        while pending:
            future, length = pending.popleft()
            chunks.add(future.result(), length)
        return Taken(size_bytes, digest.hexdigest(), chunks.finish(), lines)

    def _cut(self, source: Readable) -> Iterator[memoryview]:
        cutter = FastCDC(CHUNK_BYTES_AVG, min_size=CHUNK_BYTES_MIN, max_size=CHUNK_BYTES_MAX, seed=self._seed)
        for chunk in cutter.cut_stream(cast("Any", source)):  # its protocols name their parameters; ours do not care
            yield chunk.data

    def _submit(self, plain: bytes, how: Compression) -> Future[bytes]:
        self._window.enter(len(plain))
        try:
            future = self._pool.submit(self._chunks.keep, plain, how)
        except BaseException:
            self._window.leave(len(plain))
            raise
        future.add_done_callback(lambda _: self._window.leave(len(plain)))
        return future
