"""Taking streams in: read, cut by content, then hash, pack and put on threads, with a bounded window of bytes between.

Reading, cutting and the stream's digest are the caller's thread's; the rest is shared by all streams of a backup. A chunk
is not copied: the threads work in the buffer that it was read into (docs/decisions/0011-intake.md).
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from holdfast.repository.chunklist import ChunkList
from holdfast.repository.chunkstore import ChunkStore
from holdfast.repository.compression import Compression
from holdfast.repository.cutting import Buffer, Cutter, Readable, Reads, ReadsInto
from holdfast.repository.description import ChunkSizes
from holdfast.repository.lease import Lease
from holdfast.repository.manifest import Root
from holdfast.repository.window import Window

__all__ = ["Intake", "Readable", "Reads", "ReadsInto", "Taken"]

_WINDOW_BYTES_A_THREAD = 8 << 20  # twice the longest chunk: each thread finds its next one ready
_WINDOW_BYTES_MAX = 48 << 20
_LISTS = Compression("none")  # ids do not shrink


@dataclass(frozen=True, slots=True)
class Taken:
    """A stream that is stored whole."""

    size_bytes: int
    sha256: str
    root: Root


class Intake:
    """Takes the streams of one backup in, several at once if need be."""

    def __init__(
        self, chunks: ChunkStore, lease: Lease, *, sizes: ChunkSizes, seed: int, compression: Compression, threads: int
    ) -> None:
        self._chunks = chunks
        self._lease = lease
        self._cutter = Cutter(sizes, seed)
        self._compression = compression
        self._window = Window(min(_WINDOW_BYTES_MAX, _WINDOW_BYTES_A_THREAD * (threads + 1)))
        self._pool = ThreadPoolExecutor(threads, "holdfast-write")

    def take(self, source: Readable, *, on_progress: Callable[[int], None] | None) -> Taken:
        """Store a stream to its end. Raises what the source or the storage raises, and LeaseLostError."""
        total = _Total()
        pending: deque[tuple[Future[bytes], int]] = deque()
        chunks = ChunkList(self._keep_list)
        taken_bytes = 0
        try:
            for buffer, chunk in self._cutter.cut(source, total.add):
                pending.append((self._submit(buffer, chunk), len(chunk)))
                self._lease.check_locally()
                while pending and pending[0][0].done():
                    _collect(pending, chunks)
                taken_bytes += len(chunk)
                if on_progress is not None:
                    on_progress(taken_bytes)
            if not taken_bytes:
                pending.append((self._pool.submit(self._chunks.keep, b"", self._compression), 0))
            while pending:
                _collect(pending, chunks)
        finally:
            for future, _ in pending:  # only after a failure: let what is under way end before the caller goes on
                if not future.cancel():
                    future.exception()
        return Taken(total.size_bytes, total.digest.hexdigest(), chunks.finish())

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _submit(self, buffer: Buffer, chunk: memoryview) -> Future[bytes]:
        """Hand a chunk to the threads that store it; its buffer is let go when they are done."""
        length = len(chunk)
        self._window.enter(length)
        kept = self._pool.submit(self._chunks.keep, chunk, self._compression)

        def let_go(_: Future[bytes]) -> None:
            self._cutter.buffers.let_go(buffer)
            self._window.leave(length)

        kept.add_done_callback(let_go)
        return kept

    def _keep_list(self, content: bytes) -> bytes:
        return self._pool.submit(self._chunks.keep, content, _LISTS).result()


class _Total:
    """What is known of a stream as a whole."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self.digest = hashlib.sha256()

    def add(self, part: memoryview) -> None:
        """Add what was read, right then, while it is in the processor's cache."""
        self.digest.update(part)
        self.size_bytes += len(part)


def _collect(pending: deque[tuple[Future[bytes], int]], chunks: ChunkList) -> None:
    future, length = pending[0]
    chunks.add(future.result(), length)
    pending.popleft()
