"""The process of the HTTP API: it answers on this machine only, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress

import uvicorn

from api.app import create_app


def run(listening: socket.socket) -> None:
    """Answer on a bound socket until told to end, then end the process.

    Python would wait for the threads of a look that a storage keeps hanging; nothing here needs an orderly end.
    """
    config = uvicorn.Config(create_app(), log_level="warning", access_log=False, timeout_graceful_shutdown=3)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
