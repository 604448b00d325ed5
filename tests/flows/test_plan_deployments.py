"""What starts a plan: events, by its deployment and trigger, which are there as long as the plan is, and go with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.states import Completed, Paused

from holdfast.errors import SettingsError
from holdfast.recovery.defaults import default_plans
from holdfast.recovery.plan import PRIORITIES
from holdfast.recovery.plan_book import PlanBook
from orchestration.declared import ROOT, declared
from orchestration.deployments import remove
from orchestration.recovery.deployments import apply_plans, plan_deployments
from orchestration.recovery.emitting import emit_event, followed
from orchestration.recovery.triggers import listeners, listening, open_executions, send_trigger
from orchestration.registering import Place, Registering, flow_of
from orchestration.schedules import AS_DECLARED, OFF
from orchestration.work_pool import WORK_POOL, work_pool
from tests.flows.conftest import Installation
from tests.recovery.sample_plans import plan

ODD = {
    "reason": "it said \"no\" 'twice' {{ event.id }} {% raw %} <b>&amp;\\ \n ünï 😀",
    "deep": {"list": [1, 2.5, None, True, {"a": "'"}]},
}
"""What a template could trip over."""


@pytest.fixture(scope="module")
def client(installation: Installation) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as found:
        yield found


@pytest.fixture(scope="module", autouse=True)
def _deployed(installation: Installation, client: SyncPrefectClient) -> Iterator[None]:
    """The health monitor is deployed, and so are the plans, by a catalog that runs; nobody takes their runs."""
    installation.only_plans(*default_plans().values())
    (monitor,) = [one for one in declared(None) if one.base == "health-monitor"]
    work_pool(client, WORK_POOL)
    made = Registering(client, monitor, None, AS_DECLARED).register(flow_of(monitor), Place())
    client.update_deployment_schedule(made.id, _schedule_of(client, made.id), active=False)
    apply_plans(installation.settings)
    yield
    names = [f"recover-{plan_id.replace('_', '-')}" for plan_id in default_plans()]
    assert set(remove(None)) == {"health-monitor", *names}
    assert [one for one in client.read_automations() if "recovery" in one.tags] == []
    installation.only_plans()


@pytest.fixture
def book(installation: Installation) -> Iterator[PlanBook]:
    """The plans, of which that of a test goes again."""
    book = PlanBook(installation.settings)
    yield book
    if any(one.id == "orders_lost" for one in book.all().plans):
        book.remove("orders_lost")
    apply_plans(installation.settings)


def test_each_default_plan_has_a_deployment_in_the_queue_of_its_priority_that_its_events_start(client: SyncPrefectClient) -> None:
    there = plan_deployments(client, None)
    heard = {one.plan_id: one for one in listeners(client, None)}
    assert there.keys() == heard.keys() == default_plans().keys()
    for plan_id, one in default_plans().items():
        assert there[plan_id].name == f"recover-{plan_id.replace('_', '-')}"
        assert there[plan_id].work_queue_name == one.priority
        assert there[plan_id].parameters == {"plan_id": plan_id, "storage": "holdfast-storage", "key": "holdfast-key"}
        assert there[plan_id].global_concurrency_limit is None, "a slot of a dead run would keep it from starting"
        assert (heard[plan_id].events, heard[plan_id].on) == (frozenset(one.triggers), True)


def test_where_nothing_differs_two_requests_are_made_and_nothing_is_changed(
    installation: Installation, client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, asked = installation.settings, []
    send = SyncPrefectClient.request

    def counted(self: SyncPrefectClient, method: Any, path: Any, **more: Any) -> Any:
        asked.append(f"{method} {path}")
        return send(self, method, path, **more)

    monkeypatch.setattr(SyncPrefectClient, "request", counted)
    assert apply_plans(settings) == []
    assert asked == ["POST /deployments/filter", "POST /automations/filter"]


def test_a_plan_that_is_added_is_started_by_its_event_at_once_and_told_all_that_the_event_says(
    installation: Installation, client: SyncPrefectClient, book: PlanBook
) -> None:
    book.put(plan(priority="low"))
    assert apply_plans(installation.settings) == ["recover-orders-lost: hears of its events"]
    time.sleep(1)  # until the server heeds a new automation
    send_trigger(client, "another", "orders_missing", ODD)
    event_id = send_trigger(client, None, "orders_missing", ODD)
    (run,) = _runs(client, "orders_lost", 1)
    assert {**run.parameters, "occurred_at": None} == {
        "plan_id": "orders_lost",
        "storage": "holdfast-storage",
        "key": "holdfast-key",
        "trigger": "orders_missing",
        "event_id": event_id,
        "occurred_at": None,
        "facts": ODD,
    }
    assert run.work_queue_name == "low"
    _end(client, run.id)


def test_a_plan_that_is_disabled_or_removed_hears_of_no_event_any_more(
    installation: Installation, client: SyncPrefectClient, book: PlanBook
) -> None:
    settings = installation.settings
    book.put(plan())
    apply_plans(settings)
    book.enable("orders_lost", enabled=False)
    assert apply_plans(settings) == ["recover-orders-lost: hears of no event"]
    assert apply_plans(settings) == []
    assert OFF in plan_deployments(client, None)["orders_lost"].tags
    assert listening(client, None, "orders_missing") == []
    book.enable("orders_lost")
    assert apply_plans(settings) == ["recover-orders-lost: renewed"]
    assert [one.on for one in listening(client, None, "orders_missing")] == [True]
    book.remove("orders_lost")
    assert apply_plans(settings) == ["recover-orders-lost: no more"]
    assert "orders_lost" not in plan_deployments(client, None)
    assert not [one for one in client.read_automations() if "plan:orders_lost" in one.tags]


def test_what_a_person_paused_stays_paused_and_what_a_person_deleted_comes_back(
    installation: Installation, client: SyncPrefectClient, book: PlanBook
) -> None:
    settings = installation.settings
    book.put(plan())
    apply_plans(settings)
    (automation,) = [one for one in client.read_automations() if "plan:orders_lost" in one.tags]
    client.pause_automation(automation.id)
    assert apply_plans(settings) == []
    book.put(plan(triggers=["orders_missing", "orders_odd"]))
    assert apply_plans(settings) == ["recover-orders-lost: renewed"]
    (heard,) = listening(client, None, "orders_odd")
    assert not heard.on
    client.delete_deployment(heard.deployment_id)
    assert apply_plans(settings) == ["recover-orders-lost: hears of its events"]
    assert [one.on for one in listening(client, None, "orders_odd")] == [True]
    assert apply_plans(settings) == []


def test_with_recovery_off_no_event_starts_anything_and_with_it_on_again_all_do(
    installation: Installation, client: SyncPrefectClient
) -> None:
    settings = installation.settings
    off = settings.model_copy(update={"enable_recovery": False})
    assert len(apply_plans(off)) == len(default_plans())
    assert apply_plans(off) == []
    assert {one.on for one in listeners(client, None)} == {False}
    apply_plans(settings)
    assert {one.on for one in listeners(client, None)} == {True}


def test_while_the_catalog_is_gone_plans_stay_deployed(
    installation: Installation, client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKUP_CATALOG_URL", "postgresql://nobody@127.0.0.1:9/none")
    assert apply_plans(installation.settings) == []
    assert plan_deployments(client, None).keys() == default_plans().keys()


def test_a_worker_is_given_what_is_critical_first_however_long_the_rest_has_waited(
    installation: Installation, client: SyncPrefectClient, book: PlanBook
) -> None:
    book.put(plan(priority="low"))
    apply_plans(installation.settings)
    order = [one.name for one in client.read_work_queues(work_pool_name=WORK_POOL)]
    assert order == [*PRIORITIES[:-1], "default", PRIORITIES[-1]]
    there = plan_deployments(client, None)
    backup = client.read_deployment_by_name("health_monitor/health-monitor")
    waiting = [
        client.create_flow_run_from_deployment(UUID(str(one.id)))
        for one in (there["orders_lost"], backup, there["function_failure"], there["database_failure"])
    ]
    names = {str(run.id): queue for run, queue in zip(waiting, ("low", "default", "high", "critical"), strict=True)}
    given = client._client.post(f"/work_pools/{WORK_POOL}/get_scheduled_flow_runs", json={}).json()
    ours = [names[one["flow_run"]["id"]] for one in given if one["flow_run"]["id"] in names]  # others may be due, too
    assert ours == ["critical", "high", "default", "low"]
    for run in waiting:
        _end(client, run.id)


def test_an_emitted_event_tells_what_it_starts_and_what_becomes_of_it(
    installation: Installation, client: SyncPrefectClient, book: PlanBook
) -> None:
    book.put(plan())
    apply_plans(installation.settings)
    time.sleep(1)
    document = json.loads(_holdfast("emit", "orders_missing", "--payload", json.dumps(ODD), "--json"))
    assert (document["plans"], document["paused"], document["workerOnline"]) == (["orders_lost"], [], False)
    (run,) = document["runs"]
    found = client.read_flow_run(UUID(run["flowRunId"]))
    assert (found.parameters["event_id"], found.parameters["facts"]) == (document["eventId"], ODD)
    (open_one,) = open_executions(client, ["orders_lost"], None)
    assert open_one.id == found.id
    emitted = emit_event("orders_missing", {}, installation.settings)
    (started,) = emitted.runs
    client.set_flow_run_state(started.run_id, Paused(), force=True)
    (waits,) = followed(emitted).runs
    assert (waits.waits, waits.has_ended) == (True, False)
    for one in (found.id, started.run_id):
        _end(client, one)
    (ended,) = followed(emitted).runs
    assert (ended.state, ended.has_ended) == ("Completed", True)


def test_an_event_that_nobody_knows_is_refused_and_the_nearest_is_named(installation: Installation) -> None:
    settings = installation.settings
    with pytest.raises(SettingsError, match="the nearest is database_unavailable"):
        emit_event("database_unavailible", {}, settings)
    with pytest.raises(SettingsError, match="holdfast recover PLAN --mode drill"):
        emit_event("test_trigger", {}, settings)
    with pytest.raises(SettingsError, match="too large"):
        emit_event("database_unavailable", {"texts": ["one of very many"] * 5000}, settings)


def _holdfast(*arguments: str) -> str:
    command = Path(sys.executable).with_name("holdfast")
    done = subprocess.run(
        [command, *arguments], cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False, timeout=90
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _schedule_of(client: SyncPrefectClient, deployment_id: UUID) -> UUID:
    return client.read_deployment_schedules(deployment_id)[0].id


def _runs(client: SyncPrefectClient, plan_id: str, number: int) -> list[Any]:
    end = time.monotonic() + 15
    while len(found := open_executions(client, [plan_id], None)) < number:
        assert time.monotonic() < end, f"{len(found)} runs of {plan_id}"
        time.sleep(0.1)
    return found


def _end(client: SyncPrefectClient, run_id: UUID) -> None:
    client.set_flow_run_state(run_id, Completed(), force=True)
