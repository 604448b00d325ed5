"""A `serve` that was killed leaves nothing at work for ever: the next one ends what it had started, as `holdfast down` does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from holdfast.errors import BusyError
from orchestration.serve_record import serving_alone, stop_serving

SERVES = """
import subprocess, sys, time
from pathlib import Path
from orchestration.serve_record import serving_alone

with serving_alone(Path(sys.argv[1])) as started:
    worker = subprocess.Popen(["sleep", "600"], start_new_session=True)
    started(worker.pid)
    print(worker.pid, flush=True)
    time.sleep(600)
"""


def _killed(home: Path) -> psutil.Process:
    """What a `serve` had started that was killed."""
    with subprocess.Popen([sys.executable, "-c", SERVES, str(home)], stdout=subprocess.PIPE, text=True) as serve:
        assert serve.stdout is not None
        worker = psutil.Process(int(serve.stdout.readline()))
        with pytest.raises(BusyError), serving_alone(home):
            pass
        serve.kill()
    assert worker.is_running(), "it went with the one that started it, so there is nothing to see here"
    return worker


def _next_one(home: Path) -> None:
    with serving_alone(home):
        pass


def _down(home: Path) -> None:
    assert stop_serving(home)


@pytest.mark.parametrize("then", [_next_one, _down])
def test_what_a_killed_one_had_started_ends(tmp_path: Path, then: Callable[[Path], None]) -> None:
    worker = _killed(tmp_path)
    then(tmp_path)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
    assert not stop_serving(tmp_path), "it is told as stopped, though nothing ran any more"
