"""The API as a process that `holdfast serve` starts: `python -m api FD`, with a socket that is bound already."""

from __future__ import annotations

import socket
import sys

from api.server import run

if __name__ == "__main__":
    run(socket.socket(fileno=int(sys.argv[1])))
