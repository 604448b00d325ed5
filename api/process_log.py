"""The log of this process: line by line on stderr, or in a file that is kept short, where `holdfast serve` keeps one.

All that is said on stdout and stderr goes into that file, too, the last words of a process that dies among it.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path

LONGEST_BYTES = 10 * 1024 * 1024
FORMER = 2
_STEERS = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_LOGGERS = ("", "holdfast", "orchestration")


def begin_log(file: Path | None = None, longest_bytes: int = LONGEST_BYTES) -> None:
    """Have ours and other logs go there, whatever the command that we run in does with them."""
    handler: logging.Handler = logging.StreamHandler(sys.stderr) if file is None else _ShortFile(file, longest_bytes)
    form = _OneLine("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    form.converter = time.gmtime
    handler.setFormatter(form)
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
    logging.getLogger("holdfast.api").setLevel(logging.INFO)
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # what clients send wrong is no warning of ours


class _OneLine(logging.Formatter):
    """Writes each message on a line of its own, whatever it quotes of a request, and none that steers a terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  its name in logging
        """Write what is said, without the traceback that may follow."""
        return _STEERS.sub(lambda found: found[0].encode("unicode_escape").decode(), super().formatMessage(record))


class _ShortFile(RotatingFileHandler):
    """A file that makes room for itself when it is long, and takes stdout and stderr along."""

    def __init__(self, file: Path, longest_bytes: int) -> None:
        super().__init__(file, maxBytes=longest_bytes, backupCount=FORMER, encoding="utf-8")
        self._lead_here()

    def doRollover(self) -> None:  # noqa: N802  its name in logging
        """Begin a new file."""
        super().doRollover()
        self._lead_here()

    def _lead_here(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        if self.stream is not None:
            for descriptor in (1, 2):
                os.dup2(self.stream.fileno(), descriptor)
