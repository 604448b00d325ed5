"""The end of a command's process: everybody who asked for it has had the last word, and then the process is gone at once.

Python would take every module and object apart first, for memory that the system takes back anyway: a third of a second of CPU
where Prefect is imported.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys


class Ending:
    """How this process ends: made before anything asks to be called at its end, for who asked first is called last."""

    def __init__(self) -> None:
        self._code: int | None = None
        atexit.register(self._end)

    def leave(self, code: int) -> None:
        """End with this code, once threads have ended and what waits to be sent is sent."""
        self._code = code
        sys.exit(code)

    def _end(self) -> None:
        if self._code is None:  # not by `leave`: Python ends as it does
            return
        logging.shutdown()
        try:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
        except (OSError, ValueError, AttributeError):  # nobody reads it, or there is none: Python has a code of its own for that
            return
        os._exit(self._code)
