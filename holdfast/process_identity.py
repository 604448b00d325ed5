"""Which process does a piece of work, written down so that others can tell later whether it still lives."""

from __future__ import annotations

import os
import socket
from typing import Any

import psutil

_SAME_START_SECONDS = 2.0


def this_process() -> dict[str, Any]:
    """Describe this process: host, pid, and when it started, for pids are used again."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "processStartedAt": psutil.Process().create_time()}


def is_known_dead(described: dict[str, Any]) -> bool:
    """Tell whether that process was one of this host and is gone; nothing is known of another host's."""
    if described.get("host") != socket.gethostname() or not isinstance(described.get("pid"), int):
        return False
    try:
        process = psutil.Process(described["pid"])
        started = described.get("processStartedAt")
        other = isinstance(started, int | float) and abs(process.create_time() - started) > _SAME_START_SECONDS
        return other or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def is_known_dead_holder(holder: str) -> bool:
    """Tell the same of a lease's holder, which is written `host:pid`."""
    host, _, pid = holder.rpartition(":")
    return pid.isdecimal() and is_known_dead({"host": host, "pid": int(pid)})
