"""Rules for the whole suite: nothing is skipped, and no test sees the settings of the machine that it runs on."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

_SHARING = {"blocks", "catalog", "cli", "examples", "flows"}  # folders whose tests share a server, or a whole home

for _name in [name for name in os.environ if name.startswith(("BACKUP_", "HOLDFAST_", "PREFECT_", "PG"))]:
    del os.environ[_name]
# A shell starts what it runs in the background with SIGINT ignored, and every child inherits that: Ctrl-C could not be tried.
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # hundreds of commands are started, and each would compile all of Holdfast
os.environ.update({"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"})


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together, in one process, what shares something that takes long to make: a file's tests, or a whole folder's."""
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        item.add_marker(pytest.mark.xdist_group(folder if folder in _SHARING else str(item.path)))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run in which a test was skipped or expected to fail: what is not run is not shown."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    left_out = [report for kind in ("skipped", "xfailed") for report in reporter.stats.get(kind, [])]
    if left_out and session.exitstatus == pytest.ExitCode.OK:
        reporter.write_line(f"{len(left_out)} tests did not run; this suite allows none", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
