"""An installation for the tests of flows: a source, a home with repository and catalog, and a real Prefect server."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psutil
import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterKey,
    FlowRunFilter,
    FlowRunFilterId,
    LogFilter,
    LogFilterFlowRunId,
)
from prefect.client.schemas.objects import FlowRun

from blocks.saving import register_and_save
from holdfast.catalog import Catalog, JobRecord
from holdfast.opening import open_catalog, open_or_create_repository
from holdfast.postgres.connection import DatabaseUrl, connect
from holdfast.postgres.embedded import EmbeddedServer
from holdfast.recovery.plan import Plan
from holdfast.repository import Repository
from holdfast.settings import Settings, load_settings
from tests.postgres.servers import running_server, server_folder
from tests.prefect_homes import used_prefect

KEY = base64.b64encode(hashlib.sha256(b"the key of the tests of flows").digest()).decode()
"""No passphrase: each time that one opens a repository it is stretched, which takes a third of a second of CPU."""
PASSWORD = "canary-of-the-password-591785b7"

Planned = Callable[..., Plan]

SOURCE = """
CREATE TABLE articles (id int PRIMARY KEY, body text);
INSERT INTO articles SELECT g, md5(g::text) || md5((g + 1)::text) FROM generate_series(1, 6000) AS g;
CREATE TABLE tags (id int PRIMARY KEY, name text);
INSERT INTO tags SELECT g, 'tag ' || g FROM generate_series(1, 50) AS g;
CREATE VIEW counted AS SELECT count(*) FROM articles;
"""

ON_ITS_OWN = """
from flows.database_backup import database_backup
print(database_backup(job_id={job_id!r})["status"])
"""


@dataclass
class Installation:
    """One home, its source database, and what can be seen of its runs from outside."""

    home: Path
    source: DatabaseUrl
    server: EmbeddedServer
    prefect_url: str

    @property
    def settings(self) -> Settings:
        return load_settings()

    @property
    def repository(self) -> Repository:
        return open_or_create_repository(self.settings)[0]

    def catalog(self) -> closing[Catalog]:
        return closing(open_catalog(self.settings))

    def only_plans(self, *plans: Plan) -> None:
        """Have the catalog hold these recovery plans and no others, whatever other tests have left there."""
        with self.catalog() as catalog:
            for one in catalog.plans.kept():
                catalog.plans.remove(one.id)
            for plan in plans:
                catalog.plans.put(plan)

    def row(self, job_id: str) -> JobRecord:
        with self.catalog() as catalog:
            found = catalog.job(job_id)
        assert found is not None, f"the catalog has no row of {job_id}"
        return found

    def sql(self, statement: str, *, database: str | None = None) -> list[tuple[Any, ...]]:
        url = self.source.with_database(database) if database else self.source
        with closing(connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    def events(self, job_id: str) -> dict[str, dict[str, Any]]:
        """The payloads of a job's events by name, when its last one has arrived."""
        found: dict[str, dict[str, Any]] = {}
        end = time.monotonic() + 20
        query = {"filter": {"event": {"prefix": ["holdfast."]}, "any_resource": {"id": [f"holdfast.job.{job_id}"]}}}
        while time.monotonic() < end and not any(name.endswith(("completed", "failed", "cancelled")) for name in found):
            with get_client(sync_client=True) as client:
                answer = client._client.post("/events/filter", json=query)
            found = {event["event"]: event["payload"] for event in answer.json()["events"]}
            time.sleep(0.1)
        return found

    def artifacts(self, key: str) -> list[Any]:
        """What the artifacts of this key hold, the newest last."""
        with get_client(sync_client=True) as client:
            found = client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])))
        return [one.data for one in sorted(found, key=lambda one: one.created)]

    def flow_run(self, job_id: str) -> FlowRun:
        with get_client(sync_client=True) as client:
            return client.read_flow_run(UUID(self.row(job_id).metadata["flowRunId"]))

    def task_names(self, flow_run_id: UUID) -> set[str]:
        end = time.monotonic() + 10
        names: set[str] = set()
        while time.monotonic() < end and not names:
            with get_client(sync_client=True) as client:
                runs = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id])))
            names = {run.name for run in runs}
        return names

    def logs(self, flow_run_id: UUID) -> str:
        with get_client(sync_client=True) as client:
            found = client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[flow_run_id])))
        return "\n".join(one.message for one in found)

    def start_backup(self, job_id: str, **environment: str) -> subprocess.Popen[str]:
        """Start a backup in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-c", ON_ITS_OWN.format(job_id=job_id)],
            env=os.environ | {"PREFECT_API_URL": self.prefect_url} | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait_for_status(self, job_id: str, status: str) -> None:
        end = time.monotonic() + 30
        with self.catalog() as catalog:
            while time.monotonic() < end:
                row = catalog.job(job_id)
                if row is not None and row.status == status:
                    return
                time.sleep(0.1)
        raise AssertionError(f"{job_id} did not become {status}")


@pytest.fixture(scope="package")
def installation() -> Iterator[Installation]:
    """A home as `holdfast init` leaves it."""
    with server_folder() as folder, running_server(18) as server, ExitStack() as held:
        source = server.create_database("pipeline")
        home = folder / "home"
        held.enter_context(
            _environment(
                HOLDFAST_HOME=str(home),
                HOLDFAST_WORKING_DIRECTORY=str(folder),
                BACKUP_DATABASE_URL=_with_password(source),
                BACKUP_ENCRYPTION_KEY=KEY,
                BACKUP_COMPRESSION_ALGORITHM="zstd",
                BACKUP_TABLE_STREAM_THRESHOLD_BYTES="65536",
                PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL="0.2",
            )
        )
        url = held.enter_context(used_prefect(home))
        made = Installation(home, source, server, url)
        made.sql(SOURCE)
        settings = made.settings
        open_or_create_repository(settings)
        held.callback(lambda: EmbeddedServer(home / "postgres").stop())
        register_and_save(settings)
        yield made


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = os.environ.copy()
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _with_password(url: DatabaseUrl) -> str:
    return url.without_password().replace("postgres@", f"postgres:{PASSWORD}@")


@pytest.fixture
def sleep_seconds() -> str:
    """How long a hung pg_dump sleeps: a number of this test alone, for other tests on this machine have sleeping tools too."""
    return f"{1000 + secrets.randbelow(1 << 40)}"


@pytest.fixture
def hung_tools(tmp_path: Path, sleep_seconds: str) -> Path:
    """A folder with a pg_dump that tells its version and then never ends."""
    real = next(Path(sys.prefix).rglob("pginstall18/bin/pg_dump"))
    script = tmp_path / "pg_dump"
    script.write_text(
        textwrap.dedent(f"""\
        #!/bin/sh
        case "$*" in *--version*) exec "{real}" --version;; esac
        exec sleep {sleep_seconds}
        """)
    )
    script.chmod(0o755)
    return tmp_path


@pytest.fixture
def hung_children(hung_tools: Path, sleep_seconds: str) -> Callable[[], list[psutil.Process]]:
    """Find the processes that stand for a hung pg_dump."""

    def find() -> list[psutil.Process]:
        sleeping = []
        for process in psutil.process_iter(["cmdline"]):
            line = process.info["cmdline"] or []
            if line == ["sleep", sleep_seconds] or str(hung_tools) in " ".join(line):
                sleeping.append(process)
        return sleeping

    return find


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the scripted types of steps, and a step that fails tried again at once."""
    from orchestration.recovery import steps as step_tasks
    from tests.recovery.scripting import scripted_types

    monkeypatch.setattr(step_tasks, "FIRST_DELAY_SECONDS", 0.01)
    with scripted_types():
        yield


@pytest.fixture
def planned(installation: Installation, tmp_path: Path) -> Planned:
    """Put a plan of these steps into the catalog."""
    from tests.recovery.scripting import plan

    def put(plan_id: str, *steps: dict[str, Any], **more: Any) -> Plan:
        made = plan(plan_id, tmp_path, *steps, **more)
        with installation.catalog() as catalog:
            catalog.plans.put(made)
        return made

    return put


def until(happened: Callable[[], bool], *, seconds: float = 30) -> None:
    """Wait for what is to come."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.05)


def forget_workers(prefect_url: str) -> None:
    """Have the server know no worker of the pool: those of other tests ended a moment ago."""
    from orchestration.work_pool import WORK_POOL

    with httpx.Client(base_url=f"{prefect_url.rstrip('/')}/work_pools/{WORK_POOL}/workers", trust_env=False) as asked:
        for one in asked.post("/filter", json={}).json():
            asked.delete(f"/{one['name']}").raise_for_status()


@contextmanager
def deployed(prefect: SyncPrefectClient, *names: str) -> Iterator[None]:
    """Have these deployments inside the block, with a pool that no worker takes runs from; nothing runs by schedule."""
    from orchestration.declared import declared
    from orchestration.deployments import remove
    from orchestration.registering import Place, Registering, flow_of
    from orchestration.schedules import AS_DECLARED
    from orchestration.work_pool import WORK_POOL, work_pool

    work_pool(prefect, WORK_POOL)
    forget_workers(str(prefect.api_url))
    for one in declared(None):
        if one.base in names:
            made = Registering(prefect, one, None, AS_DECLARED).register(flow_of(one), Place())
            for schedule in prefect.read_deployment_schedules(made.id):
                prefect.update_deployment_schedule(made.id, schedule.id, active=False)
    yield
    remove(None)
