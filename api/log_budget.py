"""How many lines what strangers do may write into the log within a minute: a flood of them must not fill the disk."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

A_MINUTE = 60


class LogBudget:
    """A budget of lines; what was over it is told as a number, once its minute has passed. Safe to use from several threads."""

    def __init__(self, log: logging.Logger, a_minute: int = A_MINUTE, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._most = a_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._minute = 0.0
        self._asked = 0

    def allows(self) -> bool:
        """Tell whether one more line may be written, and count it."""
        minute = self._clock() // 60
        with self._lock:
            over = self._asked - self._most
            if minute != self._minute:
                self._minute, self._asked = minute, 0
            else:
                over = 0
            self._asked += 1
            allowed = self._asked <= self._most
        if over > 0:
            self._log.info("%d more lines on requests of strangers were not written", over)
        return allowed
