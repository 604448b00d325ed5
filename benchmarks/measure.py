"""What one process and all its descendants cost: time, processor, memory.

Only descendants count. A database server, or a Prefect server that ran before, is nobody's child here; what those spend is
measured beside, where somebody names them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.memory import sampled

MB = 1_000_000


class FailedError(Exception):
    """What was to be measured ended with an error."""


@dataclass(frozen=True)
class Cost:
    """One run. Memory is as `memory.py` has it: `own_bytes` is the largest sum over its processes that are not PostgreSQL's
    programs, `postgres_bytes` over those that are, `process_bytes` the largest of the former; `memory_by` is `pss` or `rss`."""

    wall_seconds: float
    cpu_seconds: float
    own_bytes: int
    postgres_bytes: int
    process_bytes: int
    load_before: float
    memory_by: str = "pss"


def measured(command: Sequence[str], *, environment: Mapping[str, str], folder: Path, stdout: Path | None = None) -> Cost:
    """Run a command to its end. Raises FailedError with the end of what it said."""
    load = os.getloadavg()[0]
    errors = folder / "stderr"
    with errors.open("wb") as stderr, (stdout or Path(os.devnull)).open("wb") as output:
        started = time.monotonic()
        process = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=stderr,
            start_new_session=True,
        )
        try:
            with sampled(process.pid) as memory:
                _, status, usage = os.wait4(process.pid, 0)
                wall = time.monotonic() - started
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)  # all of a pipe, not its shell alone
            process.wait()
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        said = errors.read_text(errors="replace") + (stdout.read_text(errors="replace")[-2000:] if stdout else "")
        raise FailedError(f"{' '.join(command)[:300]} ended with {process.returncode}:\n{said[-4000:]}")
    cpu = usage.ru_utime + usage.ru_stime
    return Cost(wall, cpu, memory.own_bytes, memory.postgres_bytes, memory.process_bytes, load, memory.by)


def cpu_of_home(home: Path) -> float:
    """Processor seconds spent so far by whatever serves this home in the background: Prefect's server, the catalog's."""
    seconds = 0.0
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            named = str(home) in " ".join(process.cmdline()) or process.environ().get("HOLDFAST_HOME") == str(home)
            if named:
                seconds += sum(process.cpu_times()[:4])  # its own, and that of the children it has outlived
    return seconds


def cpu_of_server(pid: int) -> float:
    """Processor seconds spent so far by the PostgreSQL server of this postmaster, sessions that have ended included."""
    postmaster = psutil.Process(pid)
    while True:
        sessions = set(postmaster.children())
        seconds = sum(postmaster.cpu_times()[:4])
        for process in sessions:
            with suppress(psutil.Error):
                seconds += sum(process.cpu_times()[:4])
        if sessions == set(postmaster.children()):  # else one ended meanwhile, and counts twice or not at all
            return seconds


def bytes_in(folder: Path) -> int:
    """How many bytes the files of a folder hold."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
