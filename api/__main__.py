"""The API as a process that `holdfast serve` starts: `python -m api FD LOG`, with a socket that is bound already."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # until it answers there is nothing to end in order
    from api.server import run

    run(socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2]))
