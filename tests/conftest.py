"""Rules for the whole suite: nothing is skipped, and no test sees the settings of the machine that it runs on."""

from __future__ import annotations

import os
import signal
from pathlib import PurePosixPath
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

_SHARING = {"blocks", "catalog", "cli", "examples", "fleet", "flows"}  # folders whose tests share a server, or a whole home
_OWN = ("answers", "config_diff", "keys", "listing", "secrets_commands", "sources", "storage")
_APART = {*(f"tests/cli/test_{name}.py" for name in _OWN), "tests/examples/test_functions.py"}  # these share nothing
_OF_RECOVERY = {
    f"tests/flows/test_{name}.py"
    for name in (
        "disaster_recovery",
        "plan_deployments",
        "plan_drill",
        "probes",
        "recovery_restores",
        "recovery_secrets",
        "unlucky_recovery",
    )
}
"""Half of the tests of flows: with two servers, two processes are at them."""
_LONGEST = (
    "flows",
    "cli",
    "flows of recovery",
    "tests/acceptance/test_demo.py",
    "tests/acceptance/test_faults.py",
    "fleet",
    "tests/acceptance/test_killed_at_any_moment.py",
    "tests/hosting/test_beside_prefect.py",
    "tests/api/test_schemathesis.py",
    "tests/orchestration/test_serving.py",
    "tests/orchestration/test_prefect_objects.py",
    "tests/acceptance/test_every_storage.py",
    "tests/acceptance/test_lost_primary.py",
    "tests/postgres/test_restore.py",
    "blocks",
    "catalog",
)
"""What takes longest begins first: what began last would keep one process busy while the others have nothing left to do."""

for _name in [name for name in os.environ if name.startswith(("BACKUP_", "HOLDFAST_", "PREFECT_", "PG"))]:
    del os.environ[_name]
# A shell starts what it runs in the background with SIGINT ignored, and every child inherits that: Ctrl-C could not be tried.
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # hundreds of commands are started, and each would compile all of Holdfast
os.environ.update({"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"})


class Together(LoadScopeScheduling):
    """Keeps in one process what shares something that takes long to make: a file's tests, or a whole folder's.

    xdist's own way to group tests has no effect with pytest 9.2, which keeps an item's id elsewhere.
    """

    def _split_scope(self, nodeid: str) -> str:
        return _together(nodeid)


def _together(nodeid: str) -> str:
    """Name what must run in one process with this test: its file or its folder."""
    file = nodeid.partition("::")[0]
    _, folder, *_ = PurePosixPath(file).parts
    if file in _OF_RECOVERY:
        return "flows of recovery"
    return folder if folder in _SHARING and file not in _APART else file


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest; what runs together stays in its order."""
    rank = {name: number for number, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: rank.get(_together(item.nodeid), len(rank)))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Hand tests out to the processes so."""
    return Together(config, log)


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
