"""What one process and all its descendants cost: time, processor, memory.

Only descendants count. A database server, or a Prefect server that ran before, is nobody's child here; what those spend is
measured beside, where somebody names them.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_SAMPLE_SECONDS = 0.1
_MAXRSS_UNIT = 1024 if os.uname().sysname == "Linux" else 1


class FailedError(Exception):
    """What was to be measured ended with an error."""


@dataclass(frozen=True)
class Cost:
    """One run. `peak_tree_bytes` is the largest sum of resident memory that a sample found (shared pages count in each process);
    `peak_process_bytes` the largest process's own peak, as the kernel knows it."""

    wall_seconds: float
    cpu_seconds: float
    peak_tree_bytes: int
    peak_process_bytes: int
    load_before: float


def measured(command: Sequence[str], *, environment: Mapping[str, str], folder: Path, stdout: Path | None = None) -> Cost:
    """Run a command to its end. Raises FailedError with the end of what it said."""
    load = os.getloadavg()[0]
    errors = folder / "stderr"
    with errors.open("wb") as stderr, (stdout or Path(os.devnull)).open("wb") as output:
        started = time.monotonic()
        process = subprocess.Popen(
            command, env=dict(environment), cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=stderr
        )
        try:
            with _sampled(process.pid) as peak:
                _, status, usage = os.wait4(process.pid, 0)
                wall = time.monotonic() - started
        except BaseException:
            process.terminate()
            process.wait()
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        said = errors.read_text(errors="replace") + (stdout.read_text(errors="replace")[-2000:] if stdout else "")
        raise FailedError(f"{' '.join(command)[:300]} ended with {process.returncode}:\n{said[-4000:]}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, peak[0], usage.ru_maxrss * _MAXRSS_UNIT, load)


@contextmanager
def _sampled(pid: int) -> Iterator[list[int]]:
    """Yield a list whose only member grows to the largest sum of resident memory."""
    peak, stop = [0], threading.Event()

    def sample() -> None:
        while not stop.wait(_SAMPLE_SECONDS):
            peak[0] = max(peak[0], _tree_bytes(pid))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()


def _tree_bytes(pid: int) -> int:
    total = 0
    with suppress(psutil.Error):
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            with suppress(psutil.Error):
                if process.name() != "postgres":
                    total += int(process.memory_info().rss)
    return total


def cpu_of_home(home: Path) -> float:
    """Processor seconds spent so far by whatever serves this home in the background: Prefect's server, the catalog's."""
    seconds = 0.0
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            named = str(home) in " ".join(process.cmdline()) or process.environ().get("HOLDFAST_HOME") == str(home)
            if named:
                seconds += sum(process.cpu_times()[:4])  # its own, and that of the children it has outlived
    return seconds


def bytes_in(folder: Path) -> int:
    """How many bytes the files of a folder hold."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
