"""The time that one attempt of a step may take. Whoever does the work asks it, and gives what is left to what he starts."""

from __future__ import annotations

import time

from holdfast.errors import TimeLimitError


class Deadline:
    """Ends so many seconds after it was made."""

    def __init__(self, seconds: float, what: str) -> None:
        self._seconds = seconds
        self._what = what
        self._ends_at = time.monotonic() + seconds

    @property
    def seconds_left(self) -> float:
        """How long is left, 0 at least."""
        return max(0.0, self._ends_at - time.monotonic())

    def cut(self) -> None:
        """End it now: the whole run was told to end."""
        self._ends_at = time.monotonic()

    def require(self) -> None:
        """Raise TimeLimitError where the time is up."""
        if self.seconds_left == 0:
            raise self.error()

    def error(self) -> TimeLimitError:
        """Say that the time is up."""
        return TimeLimitError(
            f"{self._what} did not end within {self._seconds / 60:g} minutes and was stopped",
            next_step="Raise the step's timeout, or look for what holds it up",
        )
