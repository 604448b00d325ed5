"""The process of a home's own Prefect server: `python -P -m orchestration.prefect_process` with three file names and numbers.

It gets a bound socket from the process that starts it, so that its port is its own from the first moment on, and it leaves that
process's session and family, so that it outlives it. The home's lock is held until the state file names the server: whoever looks
under the lock sees either no server or one that can be found again.

Garbage is collected by a thread that does nothing else. A statement of SQLite that is let go waits until its connection is idle.
A thread that holds the database's lock, and lets go one of a connection that waits for that very lock, waits for itself: for the
minute that Prefect lets a connection wait, and every request that writes behind it. Such a minute came six times in about 400
events, just when something was to be recovered, and in none of 220 since a thread of its own collects.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

_COLLECT_SECONDS = 1.0
_WHOLE_EVERY = 60
"""How many times only what is young is collected until all is."""


def main(state: Path, url: str, listening_fd: int) -> None:
    """Leave a server behind in the background, write down which process it is, and end."""
    pid = os.fork()
    if pid:
        write_state(state, {"url": url, **identity(pid)})
        os._exit(0)
    os.setsid()
    _close_inherited(keep=listening_fd)
    _serve(socket.socket(fileno=listening_fd))


def identity(pid: int) -> dict[str, float]:
    """Tell what sets a process apart from a later one with the same number."""
    return {"pid": pid, "createTime": psutil.Process(pid).create_time()}


def is_alive(record: dict[str, float]) -> bool:
    """Tell whether the very process that `identity` described still runs."""
    try:
        process = psutil.Process(int(record["pid"]))
        same = abs(process.create_time() - float(record["createTime"])) < 1
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def write_state(path: Path, record: Mapping[str, Any]) -> None:
    """Write a small JSON file, whole or not at all."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(json.dumps(record))
    fresh.replace(path)


def _close_inherited(keep: int) -> None:
    """Close the lock and whatever else came along; 0, 1 and 2 are the log already."""
    os.closerange(3, keep)
    os.closerange(keep + 1, 256)


def _serve(listening: socket.socket) -> None:
    import uvicorn
    from prefect.server.api.server import create_app

    import blocks.notifications  # noqa: F401  now, for when one is to be sent, another version may lie on the disk
    from orchestration.second_tries import SecondTries

    gc.disable()
    threading.Thread(target=_collect, daemon=True).start()
    application = SecondTries(create_app(final=True))
    config = uvicorn.Config(application, log_level="warning", access_log=False, timeout_graceful_shutdown=3)
    uvicorn.Server(config).run(sockets=[listening])


def _collect() -> None:
    """Collect garbage in place of Python itself, which does it in whatever thread is at work."""
    times = 0
    while True:
        time.sleep(_COLLECT_SECONDS)
        times += 1
        gc.collect(1 if times % _WHOLE_EVERY else 2)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
