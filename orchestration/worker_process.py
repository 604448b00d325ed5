"""A worker alone: `python -m orchestration.worker_process [POOL]`, until SIGTERM or SIGINT.

Prefect's own worker, told to stop, kills its flow runs, and they stay Running for ever. Here the runs are ended first, so that
each closes its job as cancelled, and the worker after them, as `holdfast serve` has it.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import psutil

from orchestration.serve_record import end_with_runs

POOL = "holdfast"
_LOOK_SECONDS = 0.5


def main(pool: str = POOL) -> int:
    """Run a worker of this pool, and return its exit code; 0 where it was told to stop."""
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: asked.set())
    # A session of its own: Ctrl-C at a terminal would reach the worker and its runs at the same moment as this process.
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--type", "process"]
    worker = subprocess.Popen(command, start_new_session=True)
    while worker.poll() is None:
        if asked.wait(_LOOK_SECONDS):
            end_with_runs(psutil.Process(worker.pid))
            worker.wait()
            return 0
    return worker.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
