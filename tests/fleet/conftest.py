"""A fleet: one Prefect server, three databases with deployments of their own, and two workers that know nothing of them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun

from holdfast.postgres.connection import DatabaseUrl
from holdfast.postgres.embedded import EmbeddedServer
from holdfast.settings import Settings, load_settings
from tests.cli.conftest import execute, make_shop
from tests.postgres.servers import running_server, server_folder
from tests.prefect_homes import used_prefect

HOLDFAST = str(Path(sys.executable).with_name("holdfast"))
TARGETS = ("shop", "blog", "wiki")
CANARY = "canary5d1f"


@dataclass
class Fleet:
    """One Prefect server, and the home from which targets are deployed."""

    folder: Path
    url: str
    databases: dict[str, DatabaseUrl]
    postgres: EmbeddedServer

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def environment(self, target: str) -> dict[str, str]:
        """What is set where a target is deployed; the server asks for no password, so that canaries can be some."""
        return {
            "HOLDFAST_HOME": str(self.home),
            "BACKUP_DATABASE_URL": self._with_password(target, f"{CANARY}-database-{target}"),
            "BACKUP_CATALOG_URL": self._with_password(f"{target}_catalog", f"{CANARY}-catalog-{target}"),
            "BACKUP_ENCRYPTION_KEY": f"{CANARY}{target}".ljust(43, "A") + "=",  # 32 bytes in base64: no passphrase to stretch
            "BACKUP_SMTP_URL": f"smtp://user:{CANARY}-smtp-{target}@127.0.0.1:1",
            "BACKUP_ENABLE_NOTIFICATIONS": "false",
            "BACKUP_COMPRESSION_ALGORITHM": "zstd",
            "BACKUP_LEASE_TTL_SECONDS": "5",
            "BACKUP_DATABASE_INTERVAL": "8760",
        }

    def in_home(self, target: str) -> dict[str, str]:
        """What is set where somebody looks after a target."""
        return self.environment(target) | {"HOLDFAST_HOME": str(self.home / "targets" / target), "HOLDFAST_TARGET": target}

    def sql(self, target: str, *statements: str) -> list[tuple[Any, ...]]:
        return execute(self.databases[target], *statements)

    def run(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command with these settings and no others."""
        return subprocess.Popen(
            [HOLDFAST, *arguments],
            cwd=self.folder,
            env=os.environ | {"PREFECT_API_URL": self.url} | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def document(self, process: subprocess.Popen[str]) -> Any:
        out, err = process.communicate(timeout=150)
        assert process.returncode == 0, out + err
        return json.loads(out)

    def _with_password(self, database: str, password: str) -> str:
        return self.databases[database].without_password().replace("postgres@", f"postgres:{password}@")


@dataclass
class Worker:
    """A worker of Prefect's, as on a machine of its own."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def runs(self, pid: int) -> bool:
        """Tell whether this process is one of its own; both workers may write of a run that only one of them got."""
        return pid in {process.pid for process in psutil.Process(self.process.pid).children(recursive=True)}

    def took(self, run: FlowRun) -> bool:
        return str(run.id) in self.log.read_text()

    def kill(self) -> None:
        """End the worker and all that it runs, as a power cut would."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        self.process.wait()
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


@contextmanager
def settings_of(environment: dict[str, str]) -> Iterator[Settings]:
    """Have these settings in this process."""
    before = os.environ.copy()
    os.environ.update(environment)
    try:
        yield load_settings()
    finally:
        os.environ.clear()
        os.environ.update(before)


def until(condition: Callable[[], Any], *, seconds: float = 180, doing: Callable[[], str] = str) -> Any:
    """Wait for something to be, and return it."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"it did not happen; {doing()}"
        time.sleep(0.2)
    return found


def ended(client: SyncPrefectClient, *runs: FlowRun) -> list[FlowRun]:
    """Wait for runs to end, and return them as they are then."""

    def all_ended() -> list[FlowRun]:
        found = [client.read_flow_run(run.id) for run in runs]
        return found if all(run.state and run.state.is_final() for run in found) else []

    return list(until(all_ended, doing=lambda: str([client.read_flow_run(run.id).state for run in runs])))


def begun(client: SyncPrefectClient, name: str) -> FlowRun:
    """Have a deployment run as soon as a worker is free."""
    deployment = client.read_deployment_by_name(name)
    return client.create_flow_run_from_deployment(UUID(str(deployment.id)))


def pause(client: SyncPrefectClient, base: str) -> None:
    """Have no run of these deployments begin by itself, for a worker has one hand only."""
    for deployment in client.read_deployments():
        for schedule in deployment.schedules if deployment.name.startswith(base) else []:
            client.update_deployment_schedule(
                deployment.id, schedule.id, active=False, schedule=schedule.schedule, parameters=schedule.parameters
            )


@pytest.fixture(scope="package")
def fleet() -> Iterator[Fleet]:
    """A Prefect server, and a database and a catalog for each target."""
    with server_folder() as folder, running_server(18) as postgres, ExitStack() as held:
        databases = {name: make_shop(postgres, name) for name in TARGETS}
        databases |= {name: postgres.create_database(name) for name in (f"{target}_catalog" for target in TARGETS)}
        url = held.enter_context(used_prefect(folder / "home"))
        yield Fleet(folder, url, databases, postgres)


@pytest.fixture(scope="package")
def client(fleet: Fleet) -> Iterator[SyncPrefectClient]:
    """What tests ask the server by."""
    with get_client(sync_client=True) as found:
        yield found


@pytest.fixture(scope="package")
def workers(fleet: Fleet) -> Iterator[list[Worker]]:
    """Two workers in folders of their own, one run at a time each; what settings they have would make any run fail."""
    started: list[Worker] = []
    try:
        for name in ("north", "south"):
            started.append(_start_worker(fleet, name))
        yield started
    finally:
        for worker in started:
            if worker.process.poll() is None:
                worker.kill()


def _start_worker(fleet: Fleet, name: str) -> Worker:
    folder = fleet.folder / name
    folder.mkdir()
    own = {name: value for name, value in os.environ.items() if not name.startswith(("BACKUP_", "HOLDFAST_"))}
    log = folder / "worker.log"
    options = ["--pool", "holdfast", "--name", name, "--type", "process", "--limit", "1"]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", "worker", "start", *options],
            cwd=folder,
            env=own
            | {
                "PREFECT_API_URL": fleet.url,
                "PREFECT_HOME": str(folder / "prefect"),
                "PREFECT_WORKER_QUERY_SECONDS": "1",
                "BACKUP_DUMP_TIME_LIMIT_MINUTES": "not a number of this fleet",
                "BACKUP_STORAGE_PATH": str(folder / "not-of-this-fleet"),
            },
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    return Worker(name, process, log)
