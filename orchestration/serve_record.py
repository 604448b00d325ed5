"""Who serves a home: one process at a time, which `holdfast down` finds, and what it has started.

One that is killed leaves its worker and its API behind, which would go on for ever with the settings that it had. Whoever serves
the home next, or takes it down, ends them first.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from holdfast.errors import BusyError
from orchestration.local_server import end_process
from orchestration.prefect_process import identity, is_alive, write_state

_FLOWS_END_SECONDS = 30
_WORKER_ENDS_SECONDS = 10
_FLOW_RUN_MODULES = frozenset({"prefect.engine", "prefect.flow_engine"})


@contextlib.contextmanager
def serving_alone(home: Path) -> Iterator[Callable[[int], None]]:
    """Be the one that serves this home; call what is yielded with the id of each process that is started.

    Raises BusyError where another one does.
    """
    path = _path(home)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(f"{home} is being served already", next_step="'holdfast down' stops it") from error
        _end_left_over(home)
        record: dict[str, Any] = {**identity(os.getpid()), "started": []}
        write_state(path, record)

        def started(pid: int) -> None:
            record["started"].append(identity(pid))
            write_state(path, record)

        try:
            yield started
        finally:
            path.unlink(missing_ok=True)


def stop_serving(home: Path) -> bool:
    """Ask a `serve` of this home to end, and wait until it has; tell whether there was one, or what one had left behind."""
    record = _read(home)
    if not _is_alive(record):
        return _end_left_over(home)
    end_process(psutil.Process(int(record["pid"])), _FLOWS_END_SECONDS + 2 * _WORKER_ENDS_SECONDS + 30)
    return True


def end_with_runs(worker: psutil.Process) -> None:
    """End a worker: first its flow runs, so that each closes its job as cancelled. It may be gone already."""
    family = _children(worker)
    end = time.monotonic() + _FLOWS_END_SECONDS
    asked: set[int] = set()
    while time.monotonic() < end and (runs := [process for process in _children(worker) if _is_flow_run(process)]):
        for process in runs:
            if process.pid not in asked:
                asked.add(process.pid)
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.terminate()
        time.sleep(0.2)
    end_process(worker, _WORKER_ENDS_SECONDS)
    for process in family:
        end_process(process, 1)


def _end_left_over(home: Path) -> bool:
    """End what a `serve` that died had started, and tell whether any of that still ran."""
    left = [one for one in _read(home).get("started", []) if _is_alive(one)]
    for one in left:
        end_with_runs(psutil.Process(int(one["pid"])))
    return bool(left)


def _read(home: Path) -> dict[str, Any]:
    try:
        record = json.loads(_path(home).read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _is_alive(record: dict[str, Any]) -> bool:
    return "pid" in record and "createTime" in record and is_alive(record)


def _path(home: Path) -> Path:
    return home / "prefect" / "serve.json"


def _children(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.children(recursive=True)
    return []


def _is_flow_run(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(_FLOW_RUN_MODULES.intersection(process.cmdline()))
    return False
