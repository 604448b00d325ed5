"""Runs that begin at once in this process begin one after the other, and then go on side by side.

Prefect's SQLite is locked for moments while runs begin, and whoever meets that waits for seconds before the next try.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_turn = threading.Lock()
_here = threading.local()


@contextmanager
def in_turn() -> Iterator[None]:
    """Wait for the turn to begin a run in this thread; it ends with the block, or once the run says that it has `begun`."""
    _turn.acquire()
    _here.has_turn = True
    try:
        yield
    finally:
        begun()


def begun() -> None:
    """Let the next run begin, where this thread has the turn."""
    if getattr(_here, "has_turn", False):
        _here.has_turn = False
        _turn.release()
