"""The demo's story, as a new user meets it: on a terminal, and in the Prefect UI that is left up."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import yaml

from cli.demo import TYPES
from cli.demo_home import MARK, DemoHome
from cli.witness import files_that_hold, values_in, witness_files
from examples.content_pipeline.sample_files import lay_out
from holdfast.recovery.defaults import default_plans
from orchestration.declared import ROOT
from tests.acceptance.conftest import HOLDFAST
from tests.browser import Browser
from tests.postgres.servers import server_folder

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]


@dataclass
class Kept:
    """A demo that was left up: what it printed, and where its Prefect UI answers."""

    root: Path
    said: str
    address: str

    @property
    def folder(self) -> Path:
        return self.root / "home" / "demo"


def _environment(root: Path) -> dict[str, str]:
    return os.environ | {"HOLDFAST_HOME": str(root / "home"), "COLUMNS": "160"}


def _running_for(home: Path) -> list[str]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if str(home) in line:
            found.append(line)
    return found


@pytest.fixture(scope="module")
def kept() -> Iterator[Kept]:
    """The story as `make demo KEEP=1` tells it."""
    with server_folder(on_disk=True) as root:
        command = [HOLDFAST, "demo", "--keep", "--megabytes", "12"]
        done = subprocess.run(command, cwd=root, env=_environment(root), capture_output=True, text=True, check=False)
        try:
            assert done.returncode == 0, done.stdout + done.stderr
            address = re.search(r"Prefect UI +(http://127\.0\.0\.1:\d+)", done.stdout)
            assert address, done.stdout
            yield Kept(root, done.stdout, address[1])
        finally:
            DemoHome(root / "home" / "demo").stop()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


def test_the_demo_backs_up_loses_and_brings_back_all_four_types(kept: Kept) -> None:
    for kind in TYPES:
        assert f"holdfast verify latest --type {kind} --level proven" in kept.said
        assert f"{kind} proven" in kept.said
    for said in ("DROP DATABASE", "is the same", "every function answers", "no value is kept"):
        assert said in kept.said


def test_the_demo_ends_with_an_event_and_the_database_comes_back_by_itself(kept: Kept) -> None:
    assert "holdfast emit database_unavailable; and it comes back by its recovery plan" in kept.said
    said = re.sub(r"[│\s]+", " ", kept.said)  # the report's lines are folded
    told = r"'holdfast emit database_unavailable': changed after \d[^,;]* s, all back \d[^,;]* s after the loss"
    assert re.search(told, said), said
    assert re.search(r"[1-9]\d* rows are lost, those written after the backup", said), "so much is said, too"


def test_make_demo_keeps_it_where_it_is_asked_to() -> None:
    for arguments, command in (["KEEP=1"], "demo --keep"), ([], "demo"):
        told = subprocess.run(["make", "-n", "demo", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
        assert f"/holdfast {command}" in [line.strip().removeprefix(".venv/bin") for line in told.stdout.splitlines()], (
            told.stdout
        )


def test_the_lost_files_lie_where_they_were(kept: Kept) -> None:
    fresh = lay_out(kept.root / "fresh")
    sample = kept.folder / "content-pipeline"
    assert witness_files(sample / "supabase") == witness_files(fresh.functions)
    assert witness_files(sample / "settings") == witness_files(fresh.settings)
    assert values_in(sample / ".env").keys() == values_in(fresh.env_file).keys()


def test_the_ui_shows_every_deployment(browser: Browser, kept: Kept) -> None:
    names = [one["name"] for one in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]]
    names += [f"recover-{plan.replace('_', '-')}" for plan in default_plans()]
    browser.open(f"{kept.address}/deployments?limit=100", *names, f"{len(names)} Deployments")
    browser.screenshot("deployments")


def test_the_ui_shows_a_finished_database_backup_with_its_summary_and_entries(browser: Browser, kept: Kept) -> None:
    shown = browser.open(f"{kept.address}/runs", "back up holdfast-database")
    browser.click(next(line.strip() for line in shown.splitlines() if "back up holdfast-database" in line))  # with its job's id
    browser.wait_for("database_backup", "Completed", "Artifacts")
    run = browser.address
    browser.click("Artifacts")
    browser.wait_for("database-backup-summary", "database-backup-entries")
    browser.screenshot("artifacts")
    browser.click("database-backup-summary")
    browser.wait_for("content_pipeline", "Snapshot at", "Added to the storage", "Checksum", "Kept in")
    browser.screenshot("summary")
    browser.open(run, "database_backup", "Artifacts")
    browser.click("Artifacts")
    browser.wait_for("database-backup-entries")
    browser.click("database-backup-entries")
    browser.wait_for("Entries of backup_", "globals", "pg_dump_custom", "truth", "sha256")
    browser.screenshot("entries")


def test_the_ui_shows_the_dashboard_of_all_four_types(browser: Browser, kept: Kept) -> None:
    browser.open(f"{kept.address}/artifacts", "holdfast-dashboard")
    browser.open(f"{kept.address}/artifacts/key/holdfast-dashboard", "Created holdfast-dashboard")
    browser.follow("/artifacts/artifact/", "Show raw data", *TYPES)
    browser.screenshot("dashboard")


def test_what_was_kept_stops_when_asked_and_the_next_demo_begins_with_an_empty_folder(kept: Kept) -> None:
    assert _running_for(kept.root) != []
    home = DemoHome(kept.folder)
    home.stop()
    assert _running_for(kept.folder) == []
    home.prepare()
    assert [path.name for path in kept.folder.iterdir()] == [MARK]


def test_a_demo_that_is_not_kept_leaves_nothing_running_even_where_it_is_interrupted() -> None:
    with server_folder(on_disk=True) as root:
        process = subprocess.Popen(
            [HOLDFAST, "demo", "--megabytes", "1"], cwd=root, env=_environment(root), stdout=subprocess.DEVNULL
        )
        end = time.monotonic() + 120
        while not (root / "home" / "demo" / "home" / "prefect" / "server.json").exists():
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.1)
        assert _running_for(root) != []
        process.send_signal(signal.SIGINT)
        assert process.wait(120) != 0
        assert _running_for(root) == []


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
