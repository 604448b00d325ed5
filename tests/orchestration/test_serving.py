"""`holdfast serve`, as a process of its own: all of it comes up, work goes on there, and all of it ends."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest
import yaml
from prefect.settings import PREFECT_API_URL, temporary_settings

from holdfast.catalog import JobRecord
from holdfast.database_backup import BackupOptions, back_up_database
from holdfast.errors import ExitCode
from holdfast.jobs import new_job_id
from holdfast.opening import embedded_server, open_catalog, open_or_create_repository, open_repository
from holdfast.postgres.url import DatabaseUrl
from holdfast.recovery.defaults import default_plans
from holdfast.settings import load_settings
from orchestration.declared import ROOT
from orchestration.local_server import LocalServer
from orchestration.schedules import OFF, reconcile_schedules, replicates_by_itself
from tests.postgres.servers import running_server, server_folder
from tests.prefect_homes import prepare_home

HOLDFAST = str(Path(sys.executable).with_name("holdfast"))
BACKUP = "database_backup/database-backup"
SAID = (  # not the version: Prefect's command takes that of the code from git, where nothing is uncommitted
    *("flow_id", "description", "parameters", "parameter_openapi_schema", "enforce_parameter_schema", "entrypoint"),
    *("path", "pull_steps", "job_variables", "work_pool_name", "work_queue_name", "concurrency_options", "labels", "paused"),
)


@dataclass
class Served:
    """A `holdfast serve` that is ready, whose backups hang at pg_dump."""

    home: Path
    source: DatabaseUrl
    process: subprocess.Popen[str]
    address: str
    api: str
    tools: Path
    environment: dict[str, str]

    def call(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.address}/api{path}", data, {"Content-Type": "application/json"})
        for last in (False, False, False, True):
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return json.loads(answer.read() or b"null")
            except urllib.error.HTTPError as error:
                if last or error.code != 503:  # what the server says while its SQLite is locked; Prefect's client waits, too
                    raise
                error.close()
                time.sleep(2)
        raise AssertionError

    def start_backup(self) -> tuple[str, str]:
        """Have the worker begin a backup; return the job's and the flow run's ids when pg_dump hangs."""
        job_id = new_job_id("backup")
        deployment = self.call(f"/deployments/name/{BACKUP}")["id"]
        run = self.call(
            f"/deployments/{deployment}/create_flow_run", {"state": {"type": "SCHEDULED"}, "parameters": {"job_id": job_id}}
        )
        until(lambda: bool(self.hung()), doing=lambda: json.dumps(self.call(f"/flow_runs/{run['id']}")["state"]))
        return job_id, str(run["id"])

    def hung(self) -> list[psutil.Process]:
        lines = {process: " ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])}
        return [process for process, line in lines.items() if str(self.tools / "pg_dump") in line]

    def row(self, job_id: str) -> JobRecord:
        with closing(open_catalog(load_settings())) as catalog:
            found = catalog.job(job_id)
        assert found is not None
        return found


def until(condition: Callable[[], bool], *, seconds: float = 60, doing: Callable[[], str] = str) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"it did not happen; {doing()}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An installation that is being served."""
    patch = pytest.MonkeyPatch()
    tools = tmp_path_factory.mktemp("tools")
    real = next(Path(sys.prefix).rglob("pginstall18/bin/pg_dump"))
    script = f'#!/bin/sh\ncase "$*" in *--version*) exec "{real}" --version;; esac\nsleep 1000\n'
    (tools / "pg_dump").write_text(script)
    (tools / "pg_dump").chmod(0o755)
    with server_folder() as folder, running_server(18) as source:
        home, database = folder / "home", source.create_database("pipeline")
        prepare_home(home)
        own = {
            "HOLDFAST_HOME": str(home),
            "BACKUP_DATABASE_URL": database.without_password(),
            "BACKUP_ENCRYPTION_KEY": "77" * 32,
            "BACKUP_DATABASE_INTERVAL": "6",
            "BACKUP_ENABLE_VERIFICATION": "false",
            "BACKUP_REPLICAS": (folder / "replica").as_uri(),
        }
        for name, value in own.items():
            patch.setenv(name, value)
        environment = os.environ | {"BACKUP_POSTGRES_TOOLS": str(tools)}
        open_or_create_repository(load_settings())
        process = subprocess.Popen([HOLDFAST, "serve"], env=environment, stdout=subprocess.PIPE, text=True, cwd=folder)
        try:
            assert process.stdout is not None
            ready = process.stdout.readline().strip()
            assert re.fullmatch(r"ready prefect=http://127\.0\.0\.1:\d+ api=http://127\.0\.0\.1:\d+", ready), ready
            prefect, api = (word.partition("=")[2] for word in ready.split()[1:])
            yield Served(home, database, process, prefect, api, tools, environment)
        finally:
            if process.poll() is None:
                process.terminate()
            process.communicate(timeout=90)
            embedded_server(load_settings()).stop()
            patch.undo()


def test_the_api_answers_beside_it_when_the_next_runs_are_due(served: Served) -> None:
    """The scheduler needs a moment; the API takes a fresh look every quarter of a minute."""

    def due() -> str | None:
        with urllib.request.urlopen(f"{served.api}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        return next((line for line in text.splitlines() if line.startswith("holdfast_next_run_timestamp_seconds{")), None)

    until(lambda: due() is not None)
    line = str(due())
    assert 'type="database"' in line
    assert 0 < float(line.rpartition(" ")[2]) - time.time() <= 6 * 3600


def test_a_home_is_served_once(served: Served) -> None:
    second = subprocess.run([HOLDFAST, "serve"], env=served.environment, capture_output=True, text=True, check=False)
    assert second.returncode == ExitCode.BUSY, second.stderr
    assert served.process.poll() is None


def test_schedules_follow_the_settings_and_deploying_again_changes_nothing(served: Served) -> None:
    before = _deployments(served)
    declared = {one["name"] for one in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]}
    assert before.keys() == declared | {f"recover-{plan.replace('_', '-')}" for plan in default_plans()}
    (backup,), (verification,) = before["database-backup"]["schedules"], before["database-verification"]["schedules"]
    assert (backup["schedule"]["interval"], backup["active"]) == (6 * 3600, True)
    assert verification["active"] is False
    off = [before[f"{kind}-backup"]["schedules"][0] for kind in ("function", "config", "secrets")]
    assert [one["active"] for one in off] == [False, False, False], "they have no source"
    again = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        env=served.environment | {"PREFECT_API_URL": f"{served.address}/api", "PWD": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 0, again.stdout + again.stderr
    after = _deployments(served)
    assert {name: one["id"] for name, one in after.items()} == {name: one["id"] for name, one in before.items()}
    assert {name: _as_said(one) for name, one in after.items()} == {name: _as_said(one) for name, one in before.items()}
    assert all(one["pull_steps"][0].popitem()[1] == {"directory": str(ROOT)} for one in after.values())
    with temporary_settings({PREFECT_API_URL: f"{served.address}/api"}):
        reconcile_schedules(load_settings())  # or the home's health monitor was quicker
    (backup,) = _deployments(served)["database-backup"]["schedules"]
    assert backup["schedule"]["interval"] == 6 * 3600, "prefect.yaml says 24"


def test_a_completed_backup_starts_a_replication(served: Served) -> None:
    settings = load_settings()
    with closing(open_repository(settings)) as repository:
        made = back_up_database(repository, served.source, BackupOptions.of(settings))
    event = {
        "id": str(uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": "holdfast.backup.completed",
        "resource": {"prefect.resource.id": "holdfast.database"},
    }
    served.call("/events", [event])
    copied = settings.home.parent / "replica" / "manifests" / "database" / made.id
    until(copied.exists, doing=lambda: json.dumps(_replications(served)))
    until(lambda: [run["state_type"] for run in _replications(served)] == ["COMPLETED"])
    copies = served.row(made.id).metadata["copies"]
    assert [copy["storage"] for copy in copies] == ["primary", *settings.replicas]


def test_the_trigger_is_off_where_there_are_no_replicas(served: Served) -> None:
    settings = load_settings()
    with temporary_settings({PREFECT_API_URL: f"{served.address}/api"}):
        assert replicates_by_itself(settings)
        assert reconcile_schedules(settings.model_copy(update={"replicas": []})) == ["replication: off"]
        assert not replicates_by_itself(settings)
        assert reconcile_schedules(settings) == ["replication: on"]
        assert replicates_by_itself(settings)


def test_a_backup_that_is_cancelled_in_the_ui_is_closed_as_cancelled(served: Served) -> None:
    job_id, run_id = served.start_backup()
    served.call(f"/flow_runs/{run_id}/set_state", {"state": {"type": "CANCELLING"}})
    until(lambda: served.call(f"/flow_runs/{run_id}")["state_type"] == "CANCELLED")
    assert served.row(job_id).status == "cancelled"
    until(lambda: not served.hung())


def test_nothing_is_left_running_after_sigterm_not_even_a_backup_that_was_at_work(served: Served) -> None:
    job_id, _ = served.start_backup()
    children = psutil.Process(served.process.pid).children(recursive=True)
    server = psutil.Process(int(json.loads((served.home / "prefect" / "server.json").read_text())["pid"]))
    served.process.terminate()
    assert served.process.wait(timeout=90) == 0
    left = [process for process in [*children, server, *served.hung()] if process.is_running()]
    assert [process for process in left if process.status() != psutil.STATUS_ZOMBIE] == []
    assert LocalServer(served.home).url is None
    assert not embedded_server(load_settings()).is_running()
    assert served.row(job_id).status == "cancelled"


def _replications(served: Served) -> list[dict[str, Any]]:
    runs = served.call("/flow_runs/filter", {"deployments": {"name": {"any_": ["replication"]}}})
    return [{name: run[name] for name in ("name", "state_type")} for run in runs]


def _as_said(deployment: dict[str, Any]) -> dict[str, Any]:
    """What of a deployment is the same whoever registers it: all but times, what the settings say, and who polls."""
    alike = {name: deployment[name] for name in SAID}
    limit = (deployment["global_concurrency_limit"] or {}).get("limit")
    schedules = [(one["slug"], one["parameters"], one["schedule"] | {"interval": None}) for one in deployment["schedules"]]
    tags = [tag for tag in deployment["tags"] if tag != OFF]
    return alike | {"limit": limit, "schedules": schedules, "tags": tags}


def _deployments(served: Served) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in served.call("/deployments/filter", {})}
