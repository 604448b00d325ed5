"""Taking streams in: read, cut by content, then hash, pack and put on threads, with a bounded window of bytes between.

Reading, cutting and the stream's digest are the caller's thread's; the rest is shared by all streams of a backup.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, cast

from pyfastcdc import FastCDC

from holdfast.errors import WorkFailedError
from holdfast.repository.chunklist import ChunkList
from holdfast.repository.chunkstore import ChunkStore
from holdfast.repository.compression import Compression
from holdfast.repository.description import ChunkSizes
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

    def __init__(
        self, chunks: ChunkStore, lease: Lease, *, sizes: ChunkSizes, seed: int, compression: Compression, threads: int
    ) -> None:
        self._chunks = chunks
        self._lease = lease
        self._sizes = sizes
        self._seed = seed
        self._compression = compression
        self._window = Window(WINDOW_BYTES)
        self._pool = ThreadPoolExecutor(threads, "holdfast-write")

    def take(self, source: Readable, *, count_lines: bool, on_progress: Callable[[int], None] | None) -> Taken:
        """Store a stream to its end. Raises what the source or the storage raises, and LeaseLostError."""
        total = _Total(count_lines)
        pending: deque[tuple[Future[bytes], int]] = deque()
        chunks = ChunkList(self._keep_list)
        with ThreadPoolExecutor(1, "holdfast-digest") as lane:
            try:
                for part in self._cut(source):
                    self._lease.check_locally()
                    pending.append(self._submit(bytes(part), lane, total))  # a copy: the cutter uses its buffer again
                    while pending and pending[0][0].done():
                        _collect(pending, chunks)
                    if on_progress is not None:
                        on_progress(total.size_bytes)
                if not total.size_bytes:
                    pending.append(self._submit(b"", lane, total))
                while pending:
                    _collect(pending, chunks)
            finally:
                for future, _ in pending:  # only after a failure: let what is under way end before the caller goes on
                    if not future.cancel():
                        future.exception()
        total.check()
        return Taken(total.size_bytes, total.digest.hexdigest(), chunks.finish(), total.lines)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _cut(self, source: Readable) -> Iterator[memoryview]:
        cutter = FastCDC(self._sizes.avg, min_size=self._sizes.min, max_size=self._sizes.max, seed=self._seed)
        for chunk in cutter.cut_stream(cast("Any", source)):  # its protocols name their parameters; ours do not care
            yield chunk.data

    def _submit(self, plain: bytes, lane: ThreadPoolExecutor, total: _Total) -> tuple[Future[bytes], int]:
        """Hand a chunk to the threads that store it, and to the stream's own that adds it to the digest, in order."""
        length = len(plain)
        self._window.enter(length)
        holders = _Holders(2, lambda: self._window.leave(length))
        lane.submit(total.add, plain).add_done_callback(holders.let_go)
        kept = self._pool.submit(self._chunks.keep, plain, self._compression)
        kept.add_done_callback(holders.let_go)
        total.size_bytes += length
        return kept, length

    def _keep_list(self, content: bytes) -> bytes:
        return self._pool.submit(self._chunks.keep, content, _LISTS).result()


class _Total:
    """What is known of a stream as a whole."""

    def __init__(self, count_lines: bool) -> None:
        self.size_bytes = 0  # handed over
        self.digested_bytes = 0
        self.digest = hashlib.sha256()
        self.lines = 0 if count_lines else None

    def add(self, plain: bytes) -> None:
        self.digest.update(plain)
        if self.lines is not None:
            self.lines += plain.count(b"\n")
        self.digested_bytes += len(plain)

    def check(self) -> None:
        """Make sure that the digest's thread did not fail unnoticed. Raises WorkFailedError."""
        if self.digested_bytes != self.size_bytes:
            raise WorkFailedError("the digest of a stream is incomplete", reason="its thread ended early")


class _Holders:
    """Calls `last` when the last of some threads has let go of something."""

    def __init__(self, count: int, last: Callable[[], None]) -> None:
        self._count = count
        self._last = last
        self._lock = threading.Lock()

    def let_go(self, _: object) -> None:
        with self._lock:
            self._count -= 1
            is_last = not self._count
        if is_last:
            self._last()


def _collect(pending: deque[tuple[Future[bytes], int]], chunks: ChunkList) -> None:
    future, length = pending[0]
    chunks.add(future.result(), length)
    pending.popleft()
