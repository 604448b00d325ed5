"""The demo's story, as a new user meets it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import psutil
import pytest

from cli.demo_home import MARK, DemoHome
from cli.witness import files_that_hold, values_in, witness_files
from examples.content_pipeline.sample_files import lay_out
from tests.acceptance.conftest import HOLDFAST
from tests.postgres.servers import server_folder

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]


def _running_for(home: Path) -> list[str]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if str(home) in line:
            found.append(line)
    return found


def test_the_demo_backs_up_loses_and_brings_back_all_four_types_and_leaves_nothing_running() -> None:
    with server_folder() as root:
        environment = os.environ | {"HOLDFAST_HOME": str(root / "home"), "COLUMNS": "160"}
        done = subprocess.run(
            [HOLDFAST, "demo", "--megabytes", "12"], cwd=root, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        for kind in ("database", "function", "config", "secrets"):
            assert f"holdfast verify latest --type {kind} --level proven" in done.stdout
            assert f"{kind} proven" in done.stdout
        for said in ("DROP DATABASE", "is the same", "every function answers", "no value is kept", "Prefect UI"):
            assert said in done.stdout
        assert _running_for(root) == []
        _look_at_what_is_left(root / "home" / "demo")


def _look_at_what_is_left(folder: Path) -> None:
    """The lost files lie where they were, and the next run begins with an empty folder."""
    fresh = lay_out(folder / "fresh")
    sample = folder / "content-pipeline"
    assert witness_files(sample / "supabase") == witness_files(fresh.functions)
    assert witness_files(sample / "settings") == witness_files(fresh.settings)
    assert values_in(sample / ".env").keys() == values_in(fresh.env_file).keys()
    DemoHome(folder).prepare()
    assert [path.name for path in folder.iterdir()] == [MARK]


def test_the_demo_never_empties_a_folder_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "precious").write_text("mine")
    environment = os.environ | {"HOLDFAST_HOME": str(tmp_path)}
    done = subprocess.run([HOLDFAST, "demo"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stdout + done.stderr
    assert (tmp_path / "demo" / "precious").read_text() == "mine"


def test_the_demo_would_find_a_secret_wherever_it_lies(tmp_path: Path) -> None:
    values = ["a-canary-in-a-file", "another"]
    read_bytes = 1 << 20
    for name, before in {"begins": 0, "within": 100, "across": read_bytes - 5, "after": 2 * read_bytes}.items():
        (tmp_path / name).write_bytes(b"." * before + values[0].encode() + b"." * 50)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / ".hidden").write_text("x another")
    (tmp_path / "harmless").write_bytes(b"a-canary-in-a-fil" * 100_000)
    found = sorted(path.name for path in files_that_hold(values, tmp_path))
    assert found == [".hidden", "across", "after", "begins", "within"]


def test_the_demo_would_see_a_changed_file_or_mode(tmp_path: Path) -> None:
    sample = lay_out(tmp_path / "sample")
    before = witness_files(sample.settings)
    (sample.settings / "limits.json").chmod(0o644)
    assert witness_files(sample.settings) != before
    (sample.settings / "limits.json").chmod(0o600)
    assert witness_files(sample.settings) == before
    (sample.settings / "digest.eml.template").write_bytes(b"\r\n")
    (sample.settings / "new").mkdir()
    differing = {name for name, _ in set(witness_files(sample.settings).items()) ^ set(before.items())}
    assert differing == {"digest.eml.template", "new"}
