"""A command is gone at once, and still nobody who had something to say at its end is cut short."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

ENDS = """
import atexit, logging, sys, threading, time
from cli.ending import Ending

ending = Ending()

class Kept:
    def __del__(self):
        print("taken apart", flush=True)

kept = Kept()
logging.getLogger().addHandler(logging.StreamHandler(sys.stderr))
def work():
    threading.main_thread().join(timeout=60)
    print("a thread")

threading.Thread(target=work).start()
atexit.register(lambda: print("who asked to be called"))
atexit.register(lambda: logging.warning("a last line"))
print("its output")
{end}
"""


def ended(end: str, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    """Run a process that ends so."""
    script = ENDS.format(end=end)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False, env=environment)


@pytest.mark.parametrize("code", [0, 7, 130])
def test_a_command_ends_with_its_code_and_all_that_was_said(code: int) -> None:
    done = ended(f"ending.leave({code})")
    assert done.returncode == code
    assert done.stdout.splitlines() == ["its output", "a thread", "who asked to be called"]
    assert done.stderr == "a last line\n"


def test_what_nobody_foresaw_ends_as_python_ends() -> None:
    done = ended("raise ValueError('unforeseen')")
    assert done.returncode == 1
    assert "ValueError: unforeseen" in done.stderr
    assert "taken apart" in done.stdout


def test_output_that_could_not_be_written_shows_in_the_code() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = ended("ending.leave(0)", stdout=writer)
    finally:
        os.close(writer)
    assert done.returncode == 120
