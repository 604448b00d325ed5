"""A bound on the bytes in flight, so that memory does not grow with the data or with the number of streams."""

from __future__ import annotations

import threading


class Window:
    """Lets at most `size_bytes` be under way. One that is larger than the window goes when nothing else is."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._used_bytes = 0
        self._changed = threading.Condition()

    def enter(self, count: int) -> None:
        """Wait until there is room for `count` bytes, and take it."""
        with self._changed:
            self._changed.wait_for(lambda: not self._used_bytes or self._used_bytes + count <= self._size_bytes)
            self._used_bytes += count

    def leave(self, count: int) -> None:
        with self._changed:
            self._used_bytes -= count
            self._changed.notify_all()
