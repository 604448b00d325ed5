"""What is said and asked beside a bar on a terminal stays readable: the bar writes over neither."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from contextlib import suppress

_ASKING = """
import time
import typer
from cli import output, progress
with progress.counted("Recovering", "bytes"):
    output.note("a step is done")
    with progress.aside():
        print("Go on? ", end="", flush=True, file=__import__("sys").stderr)
        time.sleep(0.5)
        print("answered", file=__import__("sys").stderr)
    time.sleep(0.3)
"""


def test_a_bar_keeps_away_from_a_question_and_from_what_is_said() -> None:
    shown = _on_a_terminal(_ASKING)
    assert "Go on? answered" in shown, "the bar was drawn over the question while a person thought about it"
    assert "\na step is done\r\n" in shown.replace("\r\x1b[2K", "\n").replace("\x1b[2m", "").replace("\x1b[0m", "")
    assert "Recovering" in shown.partition("answered")[2], "the bar did not come back after the answer"


def _on_a_terminal(program: str) -> str:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen([sys.executable, "-c", program], stdout=theirs, stderr=theirs, env=environment):
        os.close(theirs)
        said = b""
        with suppress(OSError):  # the terminal ends with its process
            while part := os.read(ours, 4096):
                said += part
    os.close(ours)
    return said.decode()
