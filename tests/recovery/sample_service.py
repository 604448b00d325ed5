"""A small web server as somebody's service has it: `start|stop|kill FOLDER`, its pid in a file, and signals that make it sick.

After SIGUSR1 it hangs: it answers nothing any more and does not stop when told to.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path


def serve(folder: Path) -> None:
    hung = False

    def hang(*_: object) -> None:
        nonlocal hung
        hung = True
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        (folder / "hung").touch()

    signal.signal(signal.SIGUSR1, hang)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", int((folder / "port").read_text())))
        server.listen()
        (folder / "pid").write_text(str(os.getpid()))
        while True:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                while hung:
                    time.sleep(60)
                connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")


def start(folder: Path) -> None:
    (folder / "pid").unlink(missing_ok=True)
    with (folder / "log").open("ab") as log:
        words = [sys.executable, "-I", "-S", __file__, "serve", str(folder)]
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    while not (folder / "pid").exists():
        if child.poll() is not None:
            sys.exit(f"it ended at once: {(folder / 'log').read_text()}")
        time.sleep(0.01)


def end(folder: Path, number: signal.Signals) -> None:
    pid = int((folder / "pid").read_text())
    if not lives(pid):
        sys.exit("it does not run")
    os.kill(pid, number)
    while lives(pid):
        time.sleep(0.01)


def lives(pid: int) -> bool:
    """Tell whether a process runs; one that is dead and not waited for does not."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


if __name__ == "__main__":
    deed, place = sys.argv[1], Path(sys.argv[2])
    if deed == "serve":
        serve(place)
    elif deed == "start":
        start(place)
    else:
        end(place, signal.SIGTERM if deed == "stop" else signal.SIGKILL)
