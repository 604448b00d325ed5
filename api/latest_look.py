"""The latest look at how things stand, kept for a little while: whoever asks is answered in time, even by a storage that hangs.

One look at a time is taken, in a thread of its own, and begun before the former one is too old: while somebody asks all the time,
nobody waits. Who finds none that is fresh waits for a moment, then gets the former one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

FRESH_SECONDS = 15.0
PATIENCE_SECONDS = 5.0
_log = logging.getLogger(__name__)


class LatestLook(Generic[T]):
    """What a look last gave. A look that fails gives nothing, and the next who asks has another taken.

    How old it may be counts from its end: what took long to look at, because a part hangs, would be too old at once.
    """

    def __init__(
        self, look: Callable[[], T], *, fresh_seconds: float = FRESH_SECONDS, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self._look = look
        self._fresh_seconds = fresh_seconds
        self._patience_seconds = patience_seconds
        self._lock = threading.Lock()
        self._last: T | None = None
        self._taken_at = float("-inf")
        self._looking: threading.Thread | None = None

    def get(self, patience_seconds: float | None = None) -> tuple[T | None, bool]:
        """Return the latest look, None where there was none yet, and whether it is late: older than was wanted."""
        with self._lock:
            fresh = self._is_fresh()
            looking = None if fresh and not self._is_to_be_renewed() else self._start()
            if fresh or looking is None:
                return self._last, False
        looking.join(self._patience_seconds if patience_seconds is None else patience_seconds)
        with self._lock:
            return self._last, not self._is_fresh()

    def _is_fresh(self) -> bool:
        return time.monotonic() - self._taken_at <= self._fresh_seconds

    def _is_to_be_renewed(self) -> bool:
        return time.monotonic() - self._taken_at > self._fresh_seconds / 2

    def _start(self) -> threading.Thread:
        """Have a look taken, unless one is being taken."""
        if self._looking is None or not self._looking.is_alive():
            self._looking = threading.Thread(target=self._take, name="holdfast-look", daemon=True)
            self._looking.start()
        return self._looking

    def _take(self) -> None:
        try:
            found = self._look()
        except Exception:  # noqa: BLE001  whatever it is, the server goes on, and says that its look is late
            _log.exception("how things stand can't be looked at")
            return
        with self._lock:
            self._last, self._taken_at = found, time.monotonic()
