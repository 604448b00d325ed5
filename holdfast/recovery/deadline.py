"""The time that one attempt of a step may take. Whoever does the work asks it, and gives what is left to what he starts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from holdfast.errors import TimeLimitError


class Deadline:
    """Ends so many seconds after it was made."""

    def __init__(self, seconds: float, what: str) -> None:
        self._seconds = seconds
        self._what = what
        self._ends_at = time.monotonic() + seconds
        self._stops: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._is_cut = False

    @property
    def seconds_left(self) -> float:
        """How long is left, 0 at least."""
        return max(0.0, self._ends_at - time.monotonic())

    def cut(self) -> None:
        """End it now: the whole run was told to end."""
        self._ends_at = time.monotonic()
        with self._lock:
            self._is_cut = True
            stops = list(self._stops)
        for stop in stops:
            stop()

    @contextmanager
    def stopping(self, stop: Callable[[], None]) -> Iterator[None]:
        """Have this called, from another thread, where the deadline is cut while the block is at work; it makes that raise."""
        with self._lock:
            self._stops.append(stop)
            is_cut = self._is_cut
        try:
            if is_cut:
                stop()
            yield
        finally:
            with self._lock:
                self._stops.remove(stop)

    def require(self) -> None:
        """Raise TimeLimitError where the time is up."""
        if self.seconds_left == 0:
            raise self.error()

    def error(self) -> TimeLimitError:
        """Say that the time is up."""
        if self._is_cut:
            return TimeLimitError(f"{self._what} was stopped, for the whole run was told to end")
        return TimeLimitError(
            f"{self._what} did not end within {self._seconds / 60:g} minutes and was stopped",
            next_step="Raise the step's timeout, or look for what holds it up",
        )
