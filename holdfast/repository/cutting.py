"""Cutting a stream by its content, in the blocks that it was read into: a chunk is a view of a block, not a copy.

Where the cuts fall depends on the content alone, never on how the bytes arrive or how long a block is. A block is filled anew
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


class Block:
    """Some memory, and how many hold a part of it."""

    def __init__(self, size_bytes: int) -> None:
        self.view = memoryview(bytearray(size_bytes))
        self.holders = 0


class Blocks:
    """Blocks of one size, each used again and again, the last used first: it is still in the processor's cache."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._free: list[Block] = []
        self._lock = threading.Lock()

    def take(self) -> Block:
        """Return a block that nobody else holds."""
        with self._lock:
            block = self._free.pop() if self._free else Block(self._size_bytes)
            block.holders = 1
        return block

    def hold(self, block: Block) -> None:
        """Keep a block from being filled anew until `let_go`, once more."""
        with self._lock:
            block.holders += 1

    def let_go(self, block: Block) -> None:
        with self._lock:
            block.holders -= 1
            if not block.holders:
                self._free.append(block)


class Cutter:
    """Cuts streams, several at once if need be, each in a thread of its own."""

    def __init__(self, sizes: ChunkSizes, seed: int) -> None:
        self._fastcdc = FastCDC(sizes.avg, min_size=sizes.min, max_size=sizes.max, seed=seed)
        self._max_bytes = sizes.max
        self.blocks = Blocks(sizes.max + sizes.avg)  # what is cut must be there in one piece, and some more, to read at once

    def cut(self, source: Readable, on_read: Callable[[memoryview], None]) -> Iterator[tuple[Block, memoryview]]:
        """Yield the chunks of a stream in order; whoever gets one must let go of its block.

        `on_read` is given all bytes first, in order, as they come.
        """
        fill = _filler(source)
        block, filled = self.blocks.take(), 0
        try:
            ended = False
            while not ended:
                while not ended and filled < len(block.view):
                    count = fill(block.view[filled:])
                    ended = not count
                    on_read(block.view[filled : filled + count])
                    filled += count
                done = 0
                for chunk in self._decided(block.view[:filled], ended):
                    self.blocks.hold(block)
                    yield block, chunk
                    done += len(chunk)
                block, filled = self._moved(block, done, filled)
        finally:
            self.blocks.let_go(block)

    def _decided(self, view: memoryview, ended: bool) -> Iterator[memoryview]:
        """Yield the chunks whose ends are known: a cut within what is here is the same whatever follows."""
        left = len(view)
        for chunk in self._fastcdc.cut_buf(view):
            if chunk.length == left < self._max_bytes and not ended:
                return
            left -= chunk.length
            yield chunk.data

    def _moved(self, block: Block, start: int, end: int) -> tuple[Block, int]:
        """Go on in a fresh block, with what is not cut yet."""
        fresh = self.blocks.take()
        fresh.view[: end - start] = block.view[start:end]
        self.blocks.let_go(block)
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
