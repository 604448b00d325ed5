"""How much memory a process and its descendants hold, looked at ten times a second.

What counts is the proportional set size: a page that several processes share counts once in all. Between vfork and exec a child
has no memory but its parent's, which the kernel tells of both; that counts once, too. PostgreSQL's own programs (pg_dump, psql
and the like) are told apart, for the one who starts them does not decide what they take.
"""

from __future__ import annotations

import ctypes
import os
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_SAMPLE_SECONDS = 0.1
_KIB = 1024
_KCMP = {"x86_64": 312, "aarch64": 272}.get(platform.machine())  # the number of that system call
_KCMP_VM = 1
_system = ctypes.CDLL(None)
POSTGRES_PROGRAMS = frozenset({"pg_dump", "pg_dumpall", "pg_restore", "psql", "vacuumdb", "postgres"})


@dataclass
class Memory:
    """The largest sums that were seen. `process_bytes` is the highest peak of one process, as the kernel noted it."""

    own_bytes: int = 0
    postgres_bytes: int = 0
    process_bytes: int = 0
    by: str = "pss"

    def look(self, pid: int) -> None:
        """Look at the tree once."""
        own = postgres = 0
        for process in tree(pid):
            name, held, peak = self._of(process)
            if name in POSTGRES_PROGRAMS:
                postgres += held
            else:
                own += held
                self.process_bytes = max(self.process_bytes, peak)
        self.own_bytes = max(self.own_bytes, own)
        self.postgres_bytes = max(self.postgres_bytes, postgres)

    def _of(self, pid: int) -> tuple[str, int, int]:
        """Name, bytes held, and the most that were held; nothing of a process that has just ended."""
        try:
            status = (Path("/proc") / str(pid) / "status").read_text()
            if _one_memory(pid, int(_field(status, "PPid:"))):
                return "", 0, 0
            return status.split("\n", 1)[0].partition("\t")[2], self._held(pid, status), _kib(status, "VmHWM:")
        except (FileNotFoundError, ProcessLookupError):
            return "", 0, 0

    def _held(self, pid: int, status: str) -> int:
        rollup = Path("/proc") / str(pid) / "smaps_rollup"
        try:
            return _kib(rollup.read_text(), "Pss:")
        except ProcessLookupError:  # a zombie holds nothing
            return 0
        except (FileNotFoundError, PermissionError):
            if not rollup.parent.exists():
                return 0
            self.by = "rss"
            return _kib(status, "VmRSS:")


def peak_bytes() -> int:
    """The most that this process has held so far; `getrusage` would tell of the one that started it, too."""
    return _kib(Path("/proc/self/status").read_text(), "VmHWM:")


def tree(pid: int) -> list[int]:
    """A process and its descendants that live now."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - ten times a second, so it has to be cheap
        if name.isdecimal():
            with suppress(FileNotFoundError, ProcessLookupError), open(f"/proc/{name}/stat") as file:  # noqa: PTH123
                parent = int(file.read().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(name))
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found


@contextmanager
def sampled(pid: int) -> Iterator[Memory]:
    """Look at the tree until the block ends."""
    memory, stop = Memory(), threading.Event()

    def sample() -> None:
        while not stop.wait(_SAMPLE_SECONDS):
            memory.look(pid)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield memory
    finally:
        stop.set()
        thread.join()


def _one_memory(pid: int, other: int) -> bool:
    """Tell whether two processes have one and the same memory; False where this system can't tell."""
    return _KCMP is not None and _system.syscall(_KCMP, pid, other, _KCMP_VM, 0, 0) == 0


def _kib(text: str, name: str) -> int:
    return int(_field(text, name)) * _KIB


def _field(text: str, name: str) -> str:
    """Return the first word after a name at the beginning of a line; 0 where there is none."""
    for line in text.splitlines():
        if line.startswith(name):
            return line.split()[1]
    return "0"
