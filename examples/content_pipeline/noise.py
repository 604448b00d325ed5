"""Numbers that look random and are the same everywhere: SHAKE-128 of the seed and a name.

Python's own generators promise less from version to version, and would be slower: whole blocks of 16-bit numbers are made at
once, and the makers of text look each one up in a table of 65,536 entries.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections.abc import Sequence
from uuid import UUID

_BLOCK_BYTES = 1 << 19


class Noise:
    """One endless stream of numbers, named so that each table has its own and the order of filling does not matter."""

    def __init__(self, seed: int, name: str) -> None:
        self._name = f"{seed}/{name}/"
        self._blocks = 0
        self._numbers: array[int] = array("H")
        self._at = 0

    def take(self, count: int) -> Sequence[int]:
        """The next `count` numbers, each from 0 to 65,535."""
        end = self._at + count
        if end > len(self._numbers):
            self._refill(count)
            end = count
        taken = self._numbers[self._at : end]
        self._at = end
        return taken

    def one(self) -> int:
        """The next number, from 0 to 65,535."""
        return self.take(1)[0]

    def below(self, limit: int) -> int:
        """A number from 0 to `limit` - 1."""
        high, low = self.take(2)
        return ((high << 16) + low) * limit >> 32

    def raw(self, count: int) -> bytes:
        """The next `count` bytes; `count` is even."""
        numbers = array("H", self.take(count // 2))
        return numbers.tobytes()

    def uuid(self) -> UUID:
        """A version 4 UUID."""
        return UUID(bytes=self.raw(16), version=4)

    def _refill(self, at_least: int) -> None:
        rest = self._numbers[self._at :]
        while len(rest) < at_least:
            block = array("H", hashlib.shake_128(f"{self._name}{self._blocks}".encode()).digest(_BLOCK_BYTES))
            if sys.byteorder == "big":
                block.byteswap()
            rest += block
            self._blocks += 1
        self._numbers, self._at = rest, 0
