"""Restores and other work that no request may ask for: refused by field, before anything is begun."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.running import Running, running
from tests.standing import settings_in


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with pytest.MonkeyPatch.context() as patch:
        settings = settings_in(tmp_path_factory.mktemp("restores"), patch)
    with running(settings) as one:
        yield one


@pytest.mark.parametrize("mode", ["promote", "in_place"])
def test_a_restore_replaces_the_database_of_a_block_and_no_other_on_its_server(api: Running, mode: str) -> None:
    refused = _wrong(api, {"mode": mode, "target": "live", "database": "billing"})
    assert refused == {"database": f"mode {mode} replaces the database of its target, and no other on that server"}


@pytest.mark.parametrize("name", ["postgres", "template0", "template1"])
def test_a_restore_never_lands_in_what_belongs_to_the_server_itself(api: Running, name: str) -> None:
    assert "belongs to the server" in _wrong(api, {"database": name})["database"]


@pytest.mark.parametrize(("route", "field"), [("drills", "types"), ("replications", "replicas")])
def test_a_list_that_no_run_could_take_starts_none(api: Running, route: str, field: str) -> None:
    answer = api.client().post(f"/v1/{route}", json={field: ["database"] * 1000})
    assert answer.status_code == 422, answer.text
    assert field in next(iter(answer.json()["fields"]))


def _wrong(api: Running, more: dict[str, Any]) -> dict[str, str]:
    """Ask for a restore; return what is wrong with it, by field."""
    answer = api.client().post("/v1/restores", json={"backupId": "latest", "type": "database", **more})
    assert answer.status_code == 422, answer.text
    fields: dict[str, str] = answer.json()["fields"]
    return fields
