"""What is logged goes to stderr: warnings of ours in plain words, all the rest only with `--verbose`."""

from __future__ import annotations

import logging
import os

from cli import output

_OURS = ("holdfast", "orchestration", "blocks", "flows")
_SENDERS = ("EventsWorker", "APILogWorker")  # they warn, at the end of a process, of what they have still to send
_CONSOLE_LEVEL = "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"


class _Told(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            output.warn(record.getMessage())
        else:
            output.log(record.getMessage())


def listen() -> None:
    """Show what our own modules log."""
    told = _Told(logging.INFO if output.verbose() else logging.WARNING)
    for name in _OURS:
        logger = logging.getLogger(name)
        logger.addHandler(told)
        logger.propagate = False
        if output.verbose():
            logger.setLevel(logging.INFO)


def keep_prefect_quiet() -> None:
    """Have Prefect's console log silent unless `--verbose`: what the user must know, the command says itself.

    Called before Prefect is imported here, and after its server was started: that server's log file stays complete.
    """
    if not output.verbose():
        os.environ.setdefault(_CONSOLE_LEVEL, "CRITICAL")
        for name in _SENDERS:
            logging.getLogger(name).setLevel(logging.ERROR)
