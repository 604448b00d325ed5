"""What a benchmark says of a process is true of its descendants too, and of nobody else."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from benchmarks.measure import FailedError, bytes_in, measured

MIB = 1 << 20
_HOLD_MEMORY = "import time; held = bytearray(150 << 20); time.sleep(0.6)"
_BUSY = "import time; end = time.process_time() + 0.4\nwhile time.process_time() < end: pass"


def _python(program: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", program]


def _child_of_a_child(program: str) -> list[str]:
    return _python(f"import subprocess, sys; subprocess.run([sys.executable, '-I', '-S', '-c', {program!r}], check=True)")


def test_the_memory_of_a_child_counts(tmp_path: Path) -> None:
    cost = measured(_child_of_a_child(_HOLD_MEMORY), environment=os.environ, folder=tmp_path)
    assert 150 * MIB < cost.own_bytes < 200 * MIB
    assert 150 * MIB < cost.process_bytes < 200 * MIB
    assert (cost.postgres_bytes, cost.memory_by) == (0, "pss")
    assert cost.wall_seconds > 0.6


def test_a_page_that_two_processes_share_counts_once(tmp_path: Path) -> None:
    cost = measured(_python(f"import os\n{_HOLD_MEMORY}\nos.fork()\ntime.sleep(0.6)"), environment=os.environ, folder=tmp_path)
    assert 150 * MIB < cost.own_bytes < 200 * MIB


def test_a_child_that_is_being_started_holds_nothing_yet(tmp_path: Path) -> None:
    waits_before_exec = f"""
import os, subprocess
held = bytearray(150 << 20)
os.mkfifo({str(tmp_path / "fifo")!r})
opens = subprocess.Popen(["sh", "-c", "sleep 0.5; : > $0", {str(tmp_path / "fifo")!r}])
os.posix_spawn("/bin/true", ["true"], {{}}, file_actions=[(os.POSIX_SPAWN_OPEN, 0, {str(tmp_path / "fifo")!r}, os.O_RDONLY, 0)])
"""
    cost = measured(_python(waits_before_exec), environment=os.environ, folder=tmp_path)
    assert cost.wall_seconds > 0.5
    assert 150 * MIB < cost.own_bytes < 200 * MIB


def test_the_memory_of_postgres_programs_is_told_apart(tmp_path: Path) -> None:
    program = tmp_path / "pg_dump"
    program.symlink_to(sys.executable)
    cost = measured([str(program), "-I", "-S", "-c", _HOLD_MEMORY], environment=os.environ, folder=tmp_path)
    assert 150 * MIB < cost.postgres_bytes < 200 * MIB
    assert cost.own_bytes < 20 * MIB


def test_the_processor_time_of_a_child_counts_and_waiting_does_not(tmp_path: Path) -> None:
    assert measured(_child_of_a_child(_BUSY), environment=os.environ, folder=tmp_path).cpu_seconds > 0.4
    waiting = measured(_python("import time; time.sleep(0.5)"), environment=os.environ, folder=tmp_path)
    assert waiting.cpu_seconds < waiting.wall_seconds


def test_a_failure_is_told_and_never_a_figure(tmp_path: Path) -> None:
    with pytest.raises(FailedError, match="no such thing"):
        measured(_python("import sys; sys.exit('no such thing')"), environment=os.environ, folder=tmp_path)


def test_output_goes_where_it_was_sent(tmp_path: Path) -> None:
    measured(_python("print('out')"), environment=os.environ, folder=tmp_path, stdout=tmp_path / "out")
    assert (tmp_path / "out").read_text() == "out\n"
    assert bytes_in(tmp_path) == 4
