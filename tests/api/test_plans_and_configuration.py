"""Plans and configuration over HTTP: what is changed there follows at once, and nothing that runs or reaches out comes in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.parts import Parts
from holdfast.opening import embedded_server, open_catalog, open_or_create_repository
from holdfast.settings import load_settings
from tests.api.answering import answering
from tests.postgres.servers import server_folder
from tests.recovery.sample_plans import document, step
from tests.standing import settings_in

GUIDE = "/functions/v1/backup"


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """An API over a home whose catalog runs, and no Prefect server."""
    with ExitStack() as held, pytest.MonkeyPatch.context() as patch:
        folder = held.enter_context(server_folder())
        settings = settings_in(folder, patch)
        open_or_create_repository(settings)
        held.callback(embedded_server(settings).stop)
        open_catalog(settings).close()
        yield held.enter_context(answering(Parts(load_settings)))


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    found: dict[str, Any] = answer.json()
    assert found["code"] == code, found
    return found


def test_a_plan_is_added_shown_switched_replaced_and_removed(client: httpx.Client) -> None:
    added = client.post(f"{GUIDE}?action=add-plan", json={"plan": document("mine", lastTested="2026-01-02T03:04:05Z")})
    assert (added.status_code, added.json()) == (
        201,
        {"planId": "mine", "replaced": False, "deployments": None, "problem": None},
    )
    shown = client.get("/v1/plans/mine").json()
    assert (shown["id"], shown["lastTested"], shown["origin"]) == ("mine", None, "catalog"), "only drills say that it was tested"
    refused(client.post("/v1/plans", json={"plan": document("mine")}), 409, "HF-400")
    assert client.post("/v1/plans/mine/disable").json()["enabled"] is False
    assert client.get("/v1/plans/mine").json()["enabled"] is False
    changed = {key: value for key, value in shown.items() if key not in {"origin", "note"}} | {"priority": "low"}
    assert client.put("/v1/plans/mine", json={"plan": changed}).json()["replaced"] is True
    assert client.get("/v1/plans/mine").json()["priority"] == "low"
    refused(client.put("/v1/plans/mine", json={"plan": document("other")}), 422, "HF-207")
    refused(client.put("/v1/plans/nobodys", json={"plan": document("nobodys")}), 404, "HF-300")
    assert client.delete("/v1/plans/mine").json()["removed"] is True
    refused(client.delete("/v1/plans/mine"), 404, "HF-300")
    assert "mine" not in [one["id"] for one in client.get(f"{GUIDE}?action=plans").json()["plans"]]


def test_a_plan_that_can_not_be_carried_out_is_refused_with_all_that_is_wrong(client: httpx.Client) -> None:
    bad = document("bad", steps=[step(timeout=99), step("b", type="hope")], priority="high")
    told = refused(client.post("/v1/plans", json={"plan": bad}), 422, "HF-206")
    assert "outside the 1 to 5" in told["detail"]
    assert "no type of step 'hope'" in told["detail"]


def test_a_plan_that_would_reach_an_address_is_refused_by_step_and_parameter_and_one_that_is_there_stays(
    client: httpx.Client,
) -> None:
    assert client.post("/v1/plans", json={"plan": document("kept")}).status_code == 201
    inside = {"backupType": "database", "target": "postgresql://app@169.254.169.254/shop"}
    bad = document("kept", steps=[step("restore", type="backup_restore", timeout=20, parameters=inside)])
    told = refused(client.put("/v1/plans/kept", json={"plan": bad}), 422, "HF-416")
    assert list(told["fields"]) == ["steps.restore.parameters.target"]
    assert "169.254" not in str(told)
    assert client.get("/v1/plans/kept").json()["steps"][0]["id"] == "tell"
    client.delete("/v1/plans/kept")


def test_the_configuration_is_shown_without_secrets_and_changed_by_the_guides_body(client: httpx.Client) -> None:
    told = client.post(
        f"{GUIDE}?action=update-config", json={"updates": {"databaseBackupInterval": 12, "enableCompression": False}}
    )
    assert told.status_code == 200, told.text
    shown = client.get("/v1/configuration")
    found = shown.json()["configuration"]
    assert (found["databaseBackupInterval"], found["enableCompression"]) == (12, False)
    assert "canary-of-metrics" not in shown.text, "the password of the database"
    assert client.patch("/v1/configuration", json={"updates": {"enableCompression": None}}).json()["configuration"][
        "enableCompression"
    ]


def test_settings_that_would_move_backups_and_wrong_values_are_refused_and_change_nothing(client: httpx.Client) -> None:
    before = client.get("/v1/configuration").json()
    bad = {"functionBackupInterval": 6, "backupStorageConfig": {"bucket": "mine"}, "encryptionKey": "x" * 40, "nothing": 1}
    told = refused(client.patch("/v1/configuration", json={"updates": bad}), 422, "HF-200")
    for name in ("backupStorageConfig.bucket", "encryptionKey is a secret", "nothing is not a setting"):
        assert name in told["detail"]
    wrong = refused(client.patch("/v1/configuration", json={"updates": {"keepLast": 0}}), 422, "HF-200")
    assert "1 to 10000" in wrong["detail"]
    assert client.get("/v1/configuration").json() == before


def test_without_a_prefect_server_nothing_is_started_and_that_is_said(client: httpx.Client) -> None:
    refused(client.post("/v1/plans/database_failure/executions"), 503, "HF-703")
    refused(client.post("/v1/events", json={"event": "database_unavailable"}), 503, "HF-703")


def test_executions_that_nobody_knows_and_cursors_that_no_page_gave_are_refused(client: httpx.Client) -> None:
    assert client.get("/v1/executions").json() == {"executions": [], "nextCursor": None, "note": None}
    refused(client.get("/v1/executions/recovery_1_abcdef"), 404, "HF-300")
    refused(client.get("/v1/executions?cursor=bm90aGluZw"), 422, "HF-207")
    assert "limt" in str(refused(client.get("/v1/executions?limt=1"), 422, "HF-207")["fields"])


def test_plans_are_listed_and_none_is_changed_while_the_catalog_is_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path, monkeypatch)
    with answering(Parts(lambda: settings)) as client:
        listed = client.get("/v1/plans").json()
        assert (len(listed["plans"]), listed["origin"]) == (4, "default")
        refused(client.post("/v1/plans", json={"plan": document("mine")}), 503, "HF-702")
        refused(client.patch("/v1/configuration", json={"updates": {"keepLast": 5}}), 503, "HF-702")
    assert not (tmp_path / "home" / "postgres").exists(), "nothing was started"


def test_init_makes_no_key_and_without_one_nothing_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings_in(tmp_path, monkeypatch)
    monkeypatch.delenv("BACKUP_ENCRYPTION_KEY")
    with answering(Parts(load_settings)) as client:
        told = refused(client.post(f"{GUIDE}?action=init", json={"config": {"enableEncryption": True}}), 503, "HF-201")
        assert "holdfast keys generate" in told["nextStep"]
        refused(client.post("/v1/init", json={"config": {}, "key": "x"}), 422, "HF-207")
    assert not (tmp_path / "home" / "repository").exists()
    assert not (tmp_path / "home" / "postgres").exists()
