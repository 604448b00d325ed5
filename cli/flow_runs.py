"""What a command that runs a flow does before and beside it: the Prefect server is up, its logs keep off the terminal."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cli import output, progress

if TYPE_CHECKING:
    from holdfast.settings import Settings

_CONSOLE_LEVEL = "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"


def ready_for_flows(loaded: Settings) -> str:
    """Have the Prefect server up, and return its address; only after this may anything import Prefect.

    Prefect's own console log goes to stderr. It is silent unless `--verbose`: what the user must know, the command says itself.
    The level is set for this process only after the server was started, so that the server's log file stays complete.
    """
    from orchestration.server import ensure_prefect

    with progress.waiting("Waiting for the Prefect server"):
        address = ensure_prefect(loaded)
    if not output.verbose():
        os.environ.setdefault(_CONSOLE_LEVEL, "CRITICAL")
    return address
