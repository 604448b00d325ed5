"""The sample really broken in every way, and back: by the monitor's event, by Prefect's API, by the command line.

One sample, one 'holdfast serve', all faults. What is compared is the parts themselves, row by row and byte by byte.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from http import HTTPStatus
from typing import Any

import httpx
import pytest

from cli.demo_home import DemoHome
from cli.fault_recovery import Recovery
from cli.game_day import GameDay, game_day
from cli.returned import sight_of
from cli.witness import witness_files
from examples.content_pipeline.fault import Fault
from examples.content_pipeline.faults import faults
from examples.content_pipeline.server import processes
from holdfast.postgres.connection import connect
from holdfast.settings import load_settings
from orchestration.server import prefect_address
from tests.acceptance.conftest import HOLDFAST
from tests.postgres.servers import server_folder
from tests.prefect_homes import prepare_home

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

TYPES = ("database", "function", "config", "secrets")
PLANS = ("database_failure", "function_failure", "config_corruption", "secrets_compromise")


class QuickHome(DemoHome):
    """A home whose Prefect server starts quickly."""

    def prepare(self) -> None:
        super().prepare()
        prepare_home(self.home)


@pytest.fixture(scope="module")
def day() -> Iterator[GameDay]:
    """A sample under 'holdfast serve', backed up."""
    with server_folder(on_disk=True) as root, game_day(QuickHome(root / "game-day"), print, megabytes=2) as lent:
        yield lent


@pytest.fixture
def prefect(day: GameDay) -> Iterator[httpx.Client]:
    address = prefect_address(load_settings())
    assert address is not None
    with httpx.Client(base_url=f"{address}/", timeout=30) as client:
        yield client


@pytest.fixture
def unwatched(prefect: httpx.Client) -> None:
    """The health monitor is paused: its runs every 15 seconds would take most of the time of what is not about it."""
    monitor = prefect.get("deployments/name/health_monitor/health-monitor").raise_for_status().json()
    prefect.post(f"deployments/{monitor['id']}/pause_deployment").raise_for_status()


def live(day: GameDay, prefect: httpx.Client) -> dict[str, Any]:
    """Everything that is live, as it tells itself: no drill may change any of it."""
    sample = day.sample
    with closing(connect(sample.url.maintenance())) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT array_agg(datname ORDER BY datname) FROM pg_database")
        databases = cursor.fetchone()
        cursor.execute("SELECT array_agg(rolname || ' ' || coalesce(rolpassword, '') ORDER BY rolname) FROM pg_authid")
        roles = cursor.fetchone()
    server = processes(sample.server.data_dir)[0]
    variables = prefect.post("variables/filter", json={"limit": 200}).json()
    blocks = prefect.post("block_documents/filter", json={"limit": 200, "include_secrets": True}).json()
    return {
        "database": sight_of("database", sample),
        "databases": databases,
        "roles": roles,
        "files": witness_files(sample.folder),
        "server": (server.pid, server.create_time()),
        "functions": [str(answer) for answer in sample.call_functions()],
        "variables": sorted((one["name"], str(one["value"])) for one in variables if not one["name"].startswith("holdfast")),
        "blocks": sorted((str(one["name"]), json.dumps(one["data"])) for one in blocks),
    }


def test_the_health_monitor_finds_what_is_lost_and_their_plans_bring_it_back(day: GameDay) -> None:
    names = ("database-dropped", "function-deleted", "config-corrupted", "secret-leaked")
    found = require_back(day.meet(*(faults()[name] for name in names)))
    for one in found:
        assert one.execution is not None
        assert one.execution.trigger == one.fault.trigger, "the event that told of it"
        assert one.detected_seconds is not None
        assert one.detected_seconds > 0
    dropped = found[0]
    assert dropped.returned.lost_rows > 0, "what was written after the backup can't come back"
    assert dropped.returned.older


@pytest.mark.usefixtures("unwatched")
def test_drills_of_all_plans_succeed_are_noted_and_change_nothing_that_is_live(day: GameDay, prefect: httpx.Client) -> None:
    prefect.post("variables/", json={"name": "theirs", "value": "not ours"}).raise_for_status()
    before = live(day, prefect)
    found = day.home.holdfast("drill", "--plan", "all")
    assert {one["planId"]: one["status"] for one in found["plans"]} == dict.fromkeys(PLANS, "success")
    after = live(day, prefect)
    for name, seen in before.items():
        assert after[name] == seen, name
    for one in found["plans"]:
        assert 0 < one["seconds"] < one["estimatedSeconds"]
    told = {one["planId"]: one for one in day.home.holdfast("status")["plans"]}
    assert all(told[plan]["lastTested"] and not told[plan]["untested"] for plan in PLANS)


@pytest.mark.usefixtures("unwatched")
def test_prefects_api_starts_the_plan_of_what_is_damaged(day: GameDay, prefect: httpx.Client) -> None:
    def begin(fault: Fault) -> None:
        name = f"disaster_recovery/recover-{fault.plan.replace('_', '-')}"
        deployment = prefect.get(f"deployments/name/{name}").raise_for_status().json()
        body = {"parameters": {"trigger": fault.trigger}}
        for wait_seconds in (1, 5, 15, 0):  # Prefect's SQLite is locked for a while where several runs begin at once
            answer = prefect.post(f"deployments/{deployment['id']}/create_flow_run", json=body)
            if answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
                break
            time.sleep(wait_seconds)
        answer.raise_for_status()

    require_back(day.meet(faults()["page-damaged"], faults()["function-broken"], begin=begin))


@pytest.mark.usefixtures("unwatched")
def test_the_command_line_starts_a_killed_server_which_loses_nothing_that_was_written(day: GameDay) -> None:
    (found,) = require_back(day.meet(faults()["database-killed"], begin=lambda fault: recover(day, fault)))
    assert found.returned.older == ("ops.page_cache",), "an unlogged table, which PostgreSQL itself empties after a crash"


@pytest.mark.usefixtures("unwatched")
def test_the_command_line_brings_a_dropped_table_back_once_somebody_agrees(day: GameDay) -> None:
    fault = faults()["table-dropped"]
    (found,) = require_back(day.meet(fault, begin=lambda fault: recover(day, fault, "--yes")))
    assert set(found.returned.older) <= {"content.embeddings"}, "all other tables keep what was written since the backup"


def require_back(found: list[Recovery]) -> list[Recovery]:
    for one in found:
        print(json.dumps(one.document(), default=str, indent=1))
    assert [(one.fault.name, one.why_not) for one in found if not one.ok] == []
    return found


def recover(day: GameDay, fault: Fault, *more: str) -> None:
    command = [HOLDFAST, "recover", fault.plan, "--trigger", fault.trigger, *more]
    done = subprocess.run(command, cwd=day.home.folder, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
