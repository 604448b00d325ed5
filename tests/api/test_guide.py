"""The guide's path does what the guide says."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.parts import Parts
from tests.api.answering import answering
from tests.standing import settings_in


def test_the_plans_are_listed_though_the_catalog_is_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path, monkeypatch)
    with answering(Parts(lambda: settings)) as client:
        answer = client.get("/functions/v1/backup?action=plans")
    assert answer.status_code == 200
    assert "database_failure" in [plan["id"] for plan in answer.json()["plans"]]


def test_an_unknown_field_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path, monkeypatch)
    with answering(Parts(lambda: settings)) as client:
        answer = client.get("/functions/v1/backup?action=plans&limt=3")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "HF-207"
    assert "limt" in answer.json()["fields"]


def test_an_address_as_target_and_a_route_that_there_is_not_are_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(tmp_path, monkeypatch)
    said = {"backupId": "latest", "type": "database", "target": "postgresql://elsewhere/x"}
    with answering(Parts(lambda: settings)) as client:
        refused = client.post("/functions/v1/backup?action=restore", json=said)
        by_route = client.post("/v1/restores", json=said)
        nowhere = client.get("/v1/nowhere")
    assert refused.json()["fields"]["target"].startswith("only the name of a block may stand there")
    assert "elsewhere" not in refused.text
    assert by_route.json()["fields"] == refused.json()["fields"]
    assert (nowhere.status_code, nowhere.json()["nextStep"]) == (404, "GET /openapi.json lists the routes and what each takes")
