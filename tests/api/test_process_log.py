"""The log of the API's process stays short, and misses nothing that the process says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SAYS = """
import logging, os, pathlib, sys
from api import process_log
process_log.begin_log(pathlib.Path(sys.argv[1]), 2000)
for number in range(100):
    logging.getLogger("holdfast.api.requests").info("line %d", number)
logging.getLogger("holdfast.api").warning("of %s", "a\\n2026 \\x1b[31mforged")
print("said on stdout", flush=True)
os.write(2, b"last words\\n")
"""


def test_it_is_begun_anew_when_it_is_long_and_takes_what_else_is_said_along(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    done = subprocess.run([sys.executable, "-c", SAYS, str(log)], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""
    text = log.read_text()
    assert "INFO holdfast.api.requests: line 99" in text
    assert "WARNING holdfast.api: of a\\n2026 \\x1b[31mforged\n" in text  # one line, whatever it quotes
    assert text.endswith("said on stdout\nlast words\n")
    assert {one.name for one in tmp_path.iterdir()} == {"api.log", "api.log.1", "api.log.2"}
    assert all(one.stat().st_size < 2500 for one in tmp_path.iterdir())
