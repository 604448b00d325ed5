"""The demo's story, as a new user meets it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.acceptance.conftest import HOLDFAST
from tests.postgres.servers import server_folder

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]


def _running_for(home: Path) -> list[str]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if str(home) in line:
            found.append(line)
    return found


def test_the_demo_backs_up_loses_and_brings_back_a_database_and_leaves_nothing_running() -> None:
    with server_folder() as root:
        _run_twice(root)


def _run_twice(root: Path) -> None:
    environment = os.environ | {"HOLDFAST_HOME": str(root / "home"), "COLUMNS": "160"}
    for _ in range(2):
        done = subprocess.run(
            [HOLDFAST, "demo", "--megabytes", "12"], cwd=root, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        for said in ("proven", "DROP DATABASE", "are the same", "Prefect UI"):
            assert said in done.stdout
        assert _running_for(root) == []


def test_the_demo_never_empties_a_folder_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "precious").write_text("mine")
    environment = os.environ | {"HOLDFAST_HOME": str(tmp_path)}
    done = subprocess.run([HOLDFAST, "demo"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stdout + done.stderr
    assert (tmp_path / "demo" / "precious").read_text() == "mine"
