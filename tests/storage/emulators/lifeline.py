"""End this process with the one that started it, however that one ends: its end of our standard input is closed then."""

from __future__ import annotations

import os
import sys
import threading


def hold() -> None:
    """Watch standard input from now on."""
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    while sys.stdin.buffer.read(1):
        pass
    os._exit(0)
