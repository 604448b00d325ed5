"""Recovery over HTTP: a plan is started, followed, approved, gone on with and undone by requests alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from prefect.blocks.notifications import SlackWebhook
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow
from prefect.states import Cancelled
from pydantic import SecretStr

from api.parts import Parts
from flows.disaster_recovery import disaster_recovery
from holdfast.errors import RecoveryFailedError
from holdfast.recovery.defaults import default_plans
from holdfast.recovery.execution import Execution
from holdfast.settings import load_settings
from orchestration.recovery.deployments import apply_plans, plan_deployments
from tests.api.answering import answering
from tests.flows.conftest import Installation, Planned, deployed
from tests.recovery.sample_plans import document
from tests.recovery.scripting import log, step

GUIDE = "/functions/v1/backup?action=disaster-recovery"
pytestmark = pytest.mark.usefixtures("scripted")


@pytest.fixture(scope="module")
def prefect(installation: Installation) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as found:
        yield found


@pytest.fixture(scope="module")
def client(installation: Installation, prefect: SyncPrefectClient) -> Iterator[httpx.Client]:
    """An API beside a Prefect server where plans are deployed; no worker takes their runs, but for the tests themselves."""
    installation.only_plans(*default_plans().values())
    with deployed(prefect, "health-monitor", "disaster-recovery"):
        apply_plans(installation.settings)
        with answering(Parts(load_settings)) as client:
            yield client
    installation.only_plans()


@pytest.fixture
def begun(prefect: SyncPrefectClient) -> Iterator[Callable[[httpx.Response], dict[str, Any]]]:
    """Take the answer to a request that has started a run; what nobody has carried out is cancelled at the end."""
    runs: list[UUID] = []

    def answer(response: httpx.Response) -> dict[str, Any]:
        assert response.status_code == 202, response.text
        found: dict[str, Any] = response.json()
        runs.append(UUID(found["run"]["id"]))
        return found

    yield answer
    for run_id in runs:
        if not (state := prefect.read_flow_run(run_id).state) or not state.is_final():
            prefect.set_flow_run_state(run_id, Cancelled(), force=True)


def carried_out(answer: dict[str, Any], prefect: SyncPrefectClient) -> Any:
    """Carry a run out here, as a worker would."""
    return run_flow(flow=disaster_recovery, flow_run=prefect.read_flow_run(UUID(answer["run"]["id"])))


def code(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["code"])


def test_the_guides_request_starts_the_run_of_the_plan_once_and_its_test_trigger_a_drill(
    client: httpx.Client, prefect: SyncPrefectClient, begun: Callable[[httpx.Response], dict[str, Any]]
) -> None:
    said = {
        "planId": "database_failure",
        "trigger": "database_unavailable",
        "facts": {"where": "eu", "password": "hunter2hunter2"},
    }
    key = {"Idempotency-Key": "the first"}
    first = begun(client.post(GUIDE, json=said, headers=key))
    assert (first["kind"], first["status"], first["planId"], first["mode"]) == ("recovery", "pending", "database_failure", "run")
    assert first["jobId"] == first["executionId"]
    assert "no worker" in first["notes"][0]
    run = prefect.read_flow_run(UUID(first["run"]["id"]))
    assert run.deployment_id == plan_deployments(prefect, None)["database_failure"].id
    assert (run.parameters["job_id"], run.parameters["trigger"]) == (first["jobId"], "database_unavailable")
    assert run.parameters["facts"]["where"] == "eu"
    assert "hunter2" not in str(run.parameters)

    assert begun(client.post(GUIDE, json=said, headers=key))["jobId"] == first["jobId"]
    assert code(client.post(GUIDE, json={**said, "force": True}, headers=key), 422) == "HF-415"
    busy = client.post(GUIDE, json=said)
    assert code(busy, 409) == "HF-600"
    assert first["jobId"] in busy.json()["detail"]

    drill = begun(client.post(GUIDE, json={"planId": "database_failure", "trigger": "test_trigger"}))
    assert drill["mode"] == "drill"
    assert code(client.post("/v1/plans/database_failure/executions", json={"mode": "drill"}), 409) == "HF-600"
    assert begun(client.post("/v1/plans/database_failure/executions", json={"mode": "plan"}))["mode"] == "plan"


def test_a_plan_that_nobody_knows_or_that_is_off_is_told_at_once(
    client: httpx.Client, begun: Callable[[httpx.Response], dict[str, Any]]
) -> None:
    assert code(client.post(GUIDE, json={"planId": "nobodys", "trigger": "x"}), 404) == "HF-300"
    assert code(client.post(GUIDE, json={"planId": "function_failure", "trigger": "http://here"}), 422) == "HF-207"
    client.post("/v1/plans/function_failure/disable")
    assert code(client.post(GUIDE, json={"planId": "function_failure"}), 409) == "HF-400"
    begun(client.post(GUIDE, json={"planId": "function_failure", "force": True}))
    client.post("/v1/plans/function_failure/enable")


def test_a_plan_that_is_added_hears_its_events_at_once_and_one_that_is_removed_none(
    client: httpx.Client, prefect: SyncPrefectClient
) -> None:
    added = client.post("/v1/plans", json={"plan": document("orders_lost")}).json()
    assert added["deployments"] == ["recover-orders-lost: hears of its events"]
    emitted = client.post(
        "/v1/events", json={"event": "orders_missing", "payload": {"table": "orders", "api_key": "sk-canary-77"}}
    )
    assert emitted.status_code == 202, emitted.text
    heard = emitted.json()
    assert (heard["plans"], [one["planId"] for one in heard["runs"]], heard["workerOnline"]) == (
        ["orders_lost"],
        ["orders_lost"],
        False,
    )
    run = prefect.read_flow_run(UUID(heard["runs"][0]["flowRunId"]))
    assert run.parameters["facts"]["table"] == "orders"
    assert "sk-canary-77" not in str(run.parameters)
    prefect.set_flow_run_state(run.id, Cancelled(), force=True)
    assert client.delete("/v1/plans/orders_lost").json()["deployments"] == ["recover-orders-lost: no more"]
    assert code(client.post("/v1/events", json={"event": "orders_missing"}), 422) == "HF-200"


def test_a_plan_names_only_channels_that_there_are(client: httpx.Client, prefect: SyncPrefectClient) -> None:
    told = told_by("nobodys-channel", "email")
    answer = client.post("/v1/plans", json={"plan": told})
    assert code(answer, 422) == "HF-416"
    why = answer.json()["fields"]["steps.tell.parameters.channels"]
    assert "no notification block nobodys-channel" in why
    assert "set BACKUP_SMTP_URL" in why
    SlackWebhook(url=SecretStr("https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX")).save(
        "shop-oncall"
    )
    try:
        assert client.post("/v1/plans", json={"plan": told_by("shop-oncall")}).status_code == 201
    finally:
        client.delete("/v1/plans/orders_lost")
        SlackWebhook.delete("shop-oncall")


def told_by(*channels: str) -> dict[str, Any]:
    tell = {"id": "tell", "name": "Tell", "type": "notification", "order": 1, "timeout": 2}
    return document(steps=[{**tell, "parameters": {"message": "The orders are gone", "channels": channels}}], triggers=[])


def test_an_execution_that_waits_is_approved_once_and_listed_with_its_steps(
    client: httpx.Client,
    prefect: SyncPrefectClient,
    planned: Planned,
    tmp_path: Path,
    begun: Callable[[httpx.Response], dict[str, Any]],
) -> None:
    planned("asks_http", step("look", type="scripted_look"), step("mend", "look"), requiresApproval=True)
    started = begun(client.post("/v1/plans/asks_http/executions"))
    with pytest.raises(Pause):
        carried_out(started, prefect)
    (waiting,) = client.get("/v1/executions?planId=asks_http&status=running").json()["executions"]
    assert (waiting["executionId"], waiting["waitingFor"]) == (started["jobId"], "approval")
    assert "write mend" in str(waiting["metadata"]["stakes"])
    path = f"/v1/executions/{started['jobId']}"
    assert code(client.post(f"{path}/resume"), 409) == "HF-400"
    answered = client.post(f"{path}/approval", json={"approve": True, "comment": "go"})
    assert answered.json() == {
        "executionId": started["jobId"],
        "planId": "asks_http",
        "approved": True,
        "by": "loopback",
    }
    assert code(client.post(f"{path}/approval", json={"approve": False}), 409) == "HF-400"
    carried_out(started, prefect)
    ended = client.get(path).json()
    assert (ended["status"], ended["approvedBy"], [one["outcome"] for one in ended["steps"]]) == (
        "success",
        "loopback",
        ["done", "done"],
    )
    assert log(tmp_path) == ["look", "mend"]


def test_an_execution_is_gone_on_with_where_it_stopped_and_then_undone(
    client: httpx.Client,
    prefect: SyncPrefectClient,
    planned: Planned,
    tmp_path: Path,
    begun: Callable[[httpx.Response], dict[str, Any]],
) -> None:
    planned("stops_http", step("a"), step("b", "a", fails=1, error="refused"))
    started = begun(client.post("/v1/plans/stops_http/executions"))
    with pytest.raises(RecoveryFailedError):
        carried_out(started, prefect)
    path = f"/v1/executions/{started['jobId']}"
    resumed = begun(client.post(f"{path}/resume", headers={"Idempotency-Key": "on"}))
    assert resumed["jobId"] == started["jobId"]
    assert resumed["run"] != started["run"]
    assert begun(client.post(f"{path}/resume", headers={"Idempotency-Key": "on"}))["run"] == resumed["run"]
    carried_out(resumed, prefect)
    assert client.get(path).json()["status"] == "success"
    assert code(client.post(f"{path}/resume"), 409) == "HF-400"
    back = begun(client.post(f"{path}/roll-back"))
    carried_out(back, prefect)
    assert "rolled back" in client.get(path).json()["error"]
    assert code(client.post(f"{path}/roll-back"), 409) == "HF-400"


def test_executions_are_given_page_by_page_the_newest_first(client: httpx.Client, installation: Installation) -> None:
    made = [f"recovery_1_page{number}" for number in range(5)]
    with installation.catalog() as catalog:
        for number, execution_id in enumerate(made):
            at = datetime(2026, 1, 2, tzinfo=UTC) + timedelta(hours=number // 2)
            catalog.executions.open(Execution(execution_id, "database_failure", "paged", "drill", at))
            catalog.executions.close(Execution(execution_id, "database_failure", "paged", "drill", at, "failed", at))
    found, cursor = [], ""
    while cursor is not None:
        page = client.get(f"/v1/executions?planId=database_failure&status=failed&limit=2{cursor and f'&cursor={cursor}'}").json()
        found += [one["executionId"] for one in page["executions"] if one["trigger"] == "paged"]
        cursor = page["nextCursor"]
    assert found == made[::-1]
    since = {"since": "2026-01-02T01:30:00Z", "planId": "database_failure", "status": "failed"}
    listed = client.get("/v1/executions", params=since).json()["executions"]
    assert [one["executionId"] for one in listed if one["trigger"] == "paged"] == made[:3:-1]
