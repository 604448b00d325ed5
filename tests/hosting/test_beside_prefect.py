"""Holdfast beside a Prefect server of one's own, as docs/hosting.md has it: PostgreSQL as its database, a password of its own.

Every process gets its secrets as the units give them: from files, by deployments/with-secrets.
"""

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
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from benchmarks.system_server import SystemServer
from holdfast.postgres.connection import DatabaseUrl
from holdfast.tokens import Tokens
from orchestration.local_server import answers, last_lines
from tests.cli.conftest import execute
from tests.flows.conftest import KEY
from tests.hosting.test_nginx import free_port
from tests.postgres.servers import server_folder
from tests.recovery.debian_server import debian_server

PROJECT = Path(__file__).parents[2]
WITH_SECRETS = str(PROJECT / "deployments" / "with-secrets")
BIN = Path(sys.executable).parent
PASSWORD = "canary-of-the-prefect-password-2b7f"


@dataclass
class Host:
    """A host with settings in its environment, and secrets in files."""

    folder: Path
    prefect_port: int
    started: list[psutil.Popen] = field(default_factory=list)

    @property
    def prefect_url(self) -> str:
        return f"http://127.0.0.1:{self.prefect_port}/api"

    def keep(self, folder: str, **secrets: str) -> None:
        (self.folder / folder).mkdir(mode=0o700)
        for name, value in secrets.items():
            (self.folder / folder / name).write_text(value)

    def start(self, credentials: str, *command: str, **settings: str) -> Path:
        """Start a command as its unit would, and return its log."""
        log = self.folder / f"{len(self.started)}.log"
        environment = os.environ | settings | {"CREDENTIALS_DIRECTORY": str(self.folder / credentials)}
        with log.open("wb") as written:
            self.started.append(
                psutil.Popen(
                    [WITH_SECRETS, str(BIN / command[0]), *command[1:]],
                    cwd=self.folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=written,
                    stderr=subprocess.STDOUT,
                )
            )
        return log

    def end(self) -> None:
        """Tell the last one first, as systemd does, and wait for each."""
        for process in reversed(self.started):
            process.terminate()
            process.wait(timeout=60)


@dataclass
class Beside:
    """What runs, and how it is asked."""

    host: Host
    settings: dict[str, str]
    postgres: SystemServer
    api: httpx.Client


def _until(condition: Callable[[], Any], log: Path, *, seconds: float = 90) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"it did not happen:\n{last_lines(log)}"
        time.sleep(0.1)
    return found


def _database(server: SystemServer, name: str) -> DatabaseUrl:
    execute(server.url(), f"CREATE DATABASE {name}")
    return server.url(name)


@pytest.fixture(scope="module")
def beside() -> Iterator[Beside]:
    """PostgreSQL, Prefect's server, the deployments, a worker and the API, each a process of its own."""
    with debian_server() as postgres, server_folder() as folder, _host(folder) as host:
        shop = _database(postgres, "shop")
        execute(shop, "CREATE TABLE orders AS SELECT n AS id, n * 1.5 AS total FROM generate_series(1, 2000) AS n")
        host.keep(
            "prefect-credentials",
            PREFECT_SERVER_DATABASE_CONNECTION_URL=f"postgresql+asyncpg://postgres@/{_database(postgres, 'prefect').database}"
            f"?host={postgres.folder}",
            PREFECT_SERVER_API_AUTH_STRING=f"holdfast:{PASSWORD}",
        )
        host.keep(
            "credentials",
            BACKUP_DATABASE_URL=shop.without_password(),
            BACKUP_CATALOG_URL=_database(postgres, "catalog").without_password(),
            BACKUP_ENCRYPTION_KEY=KEY,
            PREFECT_API_AUTH_STRING=f"holdfast:{PASSWORD}",
        )
        settings = {
            "HOLDFAST_HOME": str(folder / "home"),
            "PREFECT_HOME": str(folder / "home" / "prefect"),
            "PREFECT_API_URL": host.prefect_url,
            "PREFECT_WORKER_QUERY_SECONDS": "1",
        }
        log = host.start(
            "prefect-credentials",
            "prefect",
            "server",
            "start",
            PREFECT_HOME=str(folder / "prefect"),
            PREFECT_SERVER_API_PORT=str(host.prefect_port),
            PREFECT_SERVER_LOGGING_LEVEL="WARNING",
        )
        _until(lambda: answers(host.prefect_url), log)
        token = Tokens(folder / "home" / "api" / "tokens.json").create("monitor", ["read", "backup"])
        assert _done(host, settings, "deploy")["pool"] == "holdfast"
        host.start("credentials", "python", "-m", "orchestration.worker_process", **settings)
        log = host.start("credentials", "holdfast", "api", **settings)
        url = _until(lambda: re.search(r"ready api=(\S+)\n", log.read_text()), log)[1]
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60, trust_env=False) as client:
            yield Beside(host, settings, postgres, client)


@contextmanager
def _host(folder: Path) -> Iterator[Host]:
    host = Host(folder, free_port())
    with ExitStack() as held:
        held.callback(host.end)
        yield host


def _done(host: Host, settings: dict[str, str], *arguments: str) -> Any:
    """Carry a command out by hand, and return what it printed."""
    environment = os.environ | settings | {"CREDENTIALS_DIRECTORY": str(host.folder / "credentials")}
    command = [WITH_SECRETS, str(BIN / "holdfast"), *arguments, "--json"]
    done = subprocess.run(command, cwd=host.folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_the_prefect_server_lets_nobody_in_without_its_password_and_keeps_all_in_postgresql(beside: Beside) -> None:
    request = urllib.request.Request(f"{beside.host.prefect_url}/flow_runs/filter", b"{}", {"Content-Type": "application/json"})
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10)
    deployed = execute(beside.postgres.url("prefect"), "SELECT count(*) FROM deployment")
    assert deployed[0][0] > 10
    assert not list(beside.host.folder.rglob("prefect.db")), "a Prefect server of the home's own was started, or SQLite used"


def test_a_backup_that_is_asked_for_by_http_is_made_by_the_worker_and_followed_to_its_end(beside: Beside) -> None:
    started = beside.api.post("/v1/backups", json={"type": "database"})
    assert started.status_code == 202, started.text
    job = beside.api.get(f"/v1/jobs/{started.json()['jobId']}", params={"wait": 50}).json()
    assert (job["status"], job.get("error")) == ("completed", None)
    # The job ends within its run, which has then only to say so.
    asked = f"SELECT state_type FROM flow_run WHERE name LIKE '%{started.json()['jobId']}%'"
    prefect = beside.postgres.url("prefect")
    _until(lambda: [str(state) for (state,) in execute(prefect, asked)] == ["COMPLETED"], beside.host.folder / "1.log")


def test_everything_that_asks_prefect_sends_the_password(beside: Beside) -> None:
    for path in ("/v1/status", "/v1/test", "/readyz"):
        answer = beside.api.get(path)
        assert "nauthorized" not in answer.text, answer.text
    tried = {one["name"]: one for one in beside.api.get("/v1/test").json()["tests"]}
    assert [tried[name]["code"] for name in ("prefect", "deployments", "worker")] == [None, None, None], tried


def test_the_passwords_show_in_no_answer_no_log_and_no_command_line(beside: Beside) -> None:
    for path in ("/v1/status", "/v1/test", "/v1/configuration", "/metrics"):
        assert PASSWORD not in beside.api.get(path).text
    assert all(PASSWORD not in log.read_text() for log in beside.host.folder.glob("*.log"))
    family = [child for one in beside.host.started for child in [one, *one.children(recursive=True)]]
    assert not [process for process in family if PASSWORD in " ".join(process.cmdline())]
    assert not [row for row in _rows(beside) if PASSWORD in row]


def _rows(beside: Beside) -> list[str]:
    """All that Prefect keeps of runs, deployments, logs and events."""
    tables = ("flow_run", "deployment", "log", "events", "artifact", "variable")
    url = beside.postgres.url("prefect")
    return [str(row) for table in tables for row in execute(url, f"SELECT * FROM {table}")]
