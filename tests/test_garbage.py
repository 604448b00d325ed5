"""A command spends nothing on looking for garbage among what it has imported, and what it leaves at work is still found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROBE = """
import gc, json, weakref
from holdfast.garbage import look_hardly

class Loop:
    def __init__(self):
        self.own = self

look_hardly()
looks = []
gc.callbacks.append(lambda phase, about: looks.append(phase))
import flows.database_backup
while_importing, left = len(looks), weakref.ref(Loop())
held = [[] for _ in range(60_000)]
print(json.dumps([while_importing, len(looks) > 0, left() is None]))
"""


def test_imports_are_not_searched_for_garbage_and_what_comes_after_them_is(tmp_path: Path) -> None:
    environment = os.environ | {"HOLDFAST_HOME": str(tmp_path), "PREFECT_HOME": str(tmp_path / "prefect"), "DO_NOT_TRACK": "1"}
    done = subprocess.run([sys.executable, "-c", PROBE], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [0, True, True]


LONG_LIVED = """
import gc
from holdfast.garbage import look_hardly

look_hardly()
held = [[] for _ in range(410_000)]
print(gc.get_threshold()[0], gc.callbacks)
"""


def test_a_process_that_runs_no_flow_looks_as_often_once_it_has_looked() -> None:
    done = subprocess.run([sys.executable, "-c", LONG_LIVED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["50000", "[]"]
