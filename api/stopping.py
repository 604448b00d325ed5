"""The end of the process, as those see it who are answering: who waits stops waiting, and for who is late another answers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

GRACE_SECONDS = 3.0


class Stopping:
    """Whether this process is being stopped. `begin` and `cut` are for its event loop, the rest for any thread."""

    def __init__(self) -> None:
        self._begun = threading.Event()
        self._open: set[asyncio.Future[None]] = set()

    @property
    def has_begun(self) -> bool:
        return self._begun.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait so long; tell at once where the process is being stopped meanwhile."""
        return self._begun.wait(seconds)

    def begin(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Tell all who wait, and cut after the grace what still goes on then."""
        self._begun.set()
        asyncio.get_running_loop().call_later(grace_seconds, self._cut_all)

    @contextmanager
    def cut(self) -> Iterator[asyncio.Future[None]]:
        """Yield what is done as soon as whoever works in the block has to give up."""
        one = asyncio.get_running_loop().create_future()
        self._open.add(one)
        try:
            yield one
        finally:
            self._open.discard(one)

    def _cut_all(self) -> None:
        for one in self._open:
            if not one.done():
                one.set_result(None)
