"""Death (SIGKILL) before each single step of some work, one after the other, and a look at what it left behind.

Each run and each look is a forked child of its own, so that nothing in memory survives a death.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

Deed = Callable[[Path, int | None], None]
"""Does something in a folder; it is to die before the step of this number, or not at all."""


def die_before_each_step(before: Deed, work: Deed, look: Deed, folder: Path) -> int:
    """Prepare, then work on a copy of that and look, until the work comes to its end; return how often it died."""
    prepared, run = folder / "prepared", folder / "run"
    _in_child(before, prepared)
    steps = 0
    while True:
        shutil.copytree(prepared, run)
        died = _in_child(work, run, steps)
        _in_child(look, run)
        shutil.rmtree(run)
        if died == 0:
            return steps
        assert died == signal.SIGKILL
        steps += 1


def _in_child(deed: Deed, folder: Path, steps: int | None = None) -> int:
    """Do it in a child; return 0, or the signal that ended it. Any other end is ours too."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            deed(folder, steps)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return os.WTERMSIG(status)
    if os.WEXITSTATUS(status):
        raise SystemExit(f"it failed in {folder.name} (death before step {steps})")
    return 0
