"""Cutting a stream by its content, in the buffers that it was read into: a chunk is a view of a buffer, not a copy.

Where the cuts fall depends on the content alone, never on how the bytes arrive or how long a buffer is. A buffer is filled anew
when all who hold a part of it have let go.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Protocol

from pyfastcdc import FastCDC

from holdfast.repository.description import ChunkSizes


class ReadsInto(Protocol):
    """A source that fills a buffer; the faster kind."""

    def readinto(self, buffer: memoryview, /) -> int | None: ...


class Reads(Protocol):
    """A source that returns bytes, none at its end."""

    def read(self, size: int, /) -> bytes: ...


Readable = ReadsInto | Reads


class Buffer:
    """Some memory, and how many hold a part of it."""

    def __init__(self, size_bytes: int) -> None:
        self.view = memoryview(bytearray(size_bytes))
        self.holders = 0


class Buffers:
    """Buffers of one size, each used again and again, the last used first: it is still in the processor's cache."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._free: list[Buffer] = []
        self._lock = threading.Lock()

    def take(self) -> Buffer:
        """Return a buffer that nobody else holds."""
        with self._lock:
            buffer = self._free.pop() if self._free else Buffer(self._size_bytes)
            buffer.holders = 1
        return buffer

    def hold(self, buffer: Buffer) -> None:
        """Keep a buffer from being filled anew until `let_go`, once more."""
        with self._lock:
            buffer.holders += 1

    def let_go(self, buffer: Buffer) -> None:
        with self._lock:
            buffer.holders -= 1
            if not buffer.holders:
                self._free.append(buffer)


class Cutter:
    """Cuts streams, several at once if need be, each in a thread of its own."""

    def __init__(self, sizes: ChunkSizes, seed: int) -> None:
        self._fastcdc = FastCDC(sizes.avg, min_size=sizes.min, max_size=sizes.max, seed=seed)
        self._max_bytes = sizes.max
        self.buffers = Buffers(sizes.max + sizes.avg)  # what is cut must be there in one piece, and some more, to read at once

    def cut(self, source: Readable, on_read: Callable[[memoryview], None]) -> Iterator[tuple[Buffer, memoryview]]:
        """Yield the chunks of a stream in order; whoever gets one must let go of its buffer.

        `on_read` is given all bytes first, in order, as they come.
        """
        fill = _filler(source)
        buffer, filled = self.buffers.take(), 0
        try:
            ended = False
            while not ended:
                while not ended and filled < len(buffer.view):
                    count = fill(buffer.view[filled:])
                    ended = not count
                    on_read(buffer.view[filled : filled + count])
                    filled += count
                done = 0
                for chunk in self._decided(buffer.view[:filled], ended):
                    self.buffers.hold(buffer)
                    yield buffer, chunk
                    done += len(chunk)
                buffer, filled = self._moved(buffer, done, filled)
        finally:
            self.buffers.let_go(buffer)

    def _decided(self, view: memoryview, ended: bool) -> Iterator[memoryview]:
        """Yield the chunks whose ends are known: a cut within what is here is the same whatever follows."""
        left = len(view)
        for chunk in self._fastcdc.cut_buf(view):
            if chunk.length == left < self._max_bytes and not ended:
                return
            left -= chunk.length
            yield chunk.data

    def _moved(self, buffer: Buffer, start: int, end: int) -> tuple[Buffer, int]:
        """Go on in a fresh buffer, with what is not cut yet."""
        fresh = self.buffers.take()
        fresh.view[: end - start] = buffer.view[start:end]
        self.buffers.let_go(buffer)
        return fresh, end - start


def _filler(source: Readable) -> Callable[[memoryview], int]:
    """Tell how to fill a buffer from a source; no bytes mean its end."""
    if hasattr(source, "readinto"):
        readinto = source.readinto
        return lambda buffer: readinto(buffer) or 0

    def fill(buffer: memoryview) -> int:
        part = source.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)

    return fill
