"""Requests are in the audit log: who asked for what, and what came of it; and the log is shown to whoever may see it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from api.parts import Parts
from holdfast.audit import AuditBook
from holdfast.opening import embedded_server, open_catalog, open_or_create_repository
from holdfast.settings import Settings, load_settings
from holdfast.tokens import Tokens
from tests.api.answering import answering
from tests.postgres.servers import server_folder
from tests.recovery.sample_plans import document
from tests.standing import settings_in


@dataclass
class Asked:
    """An API with an admin who asks, and the headers of one who may only look."""

    client: httpx.Client
    reader: dict[str, str]
    settings: Settings

    def lines(self, **query: Any) -> list[dict[str, Any]]:
        found = self.client.get("/v1/audit", params=query)
        assert found.status_code == 200, found.text
        return list(found.json()["lines"])


@pytest.fixture(scope="module")
def api() -> Iterator[Asked]:
    with ExitStack() as held, pytest.MonkeyPatch.context() as patch:
        settings = settings_in(held.enter_context(server_folder()), patch)
        open_or_create_repository(settings)
        held.callback(embedded_server(settings).stop)
        open_catalog(settings).close()
        tokens = Tokens.of(settings)
        admin, reader = tokens.create("boss", ["read", "admin"]), tokens.create("looker", ["read"])
        client = held.enter_context(answering(Parts(load_settings), admin))
        yield Asked(client, {"Authorization": f"Bearer {reader}"}, settings)


def said(line: dict[str, Any]) -> tuple[Any, ...]:
    return (
        line["action"],
        line["actor"]["kind"],
        line["actor"]["name"],
        line["origin"],
        line["subject"],
        line["outcome"],
        line["code"],
    )


def test_who_asked_for_what_and_what_came_of_it_is_in_the_log(api: Asked) -> None:
    assert api.client.post("/v1/plans", json={"plan": document("mine")}).status_code == 201
    assert api.client.post("/v1/plans", json={"plan": document("mine")}).status_code == 409
    assert api.client.delete("/v1/plans/nobodys").status_code == 404
    assert api.client.delete("/v1/plans/mine", headers=api.reader).status_code == 403
    assert api.client.get("/v1/plans", headers=api.reader).status_code == 200
    lines = [said(line) for line in api.lines(limit=4)][::-1]
    assert lines == [
        ("plan.add", "token", "boss", "127.0.0.1", "mine", "done", None),
        ("plan.add", "token", "boss", "127.0.0.1", "mine", "refused", "HF-400"),
        ("plan.remove", "token", "boss", "127.0.0.1", "nobodys", "failed", "HF-300"),
        ("plan.remove", "token", "looker", "127.0.0.1", "mine", "refused", "HF-413"),
    ]


def test_the_log_is_for_admins_and_asking_in_vain_again_and_again_adds_one_line(api: Asked) -> None:
    for _ in range(3):
        assert api.client.get("/v1/audit", headers=api.reader).status_code == 403
    assert [said(line)[4:] for line in api.lines(action="access.refuse")] == [("audit", "refused", "HF-413")]
    for _ in range(3):
        assert api.client.post("/v1/plans/mine/disable", headers=api.reader).status_code == 403
    assert [said(line)[4:] for line in api.lines(action="plan.disable")] == [("mine", "refused", "HF-413")]
    before = len(api.lines(limit=200))
    assert api.client.get("/v1/audit", headers={"Authorization": "Bearer hf_nobodys"}).status_code == 401
    assert len(api.lines(limit=200)) == before, "a stranger can't fill the log"


def test_the_log_is_read_page_by_page_and_only_by_its_own_cursors(api: Asked) -> None:
    api.client.post("/v1/plans/mine/disable")
    whole = [line["digest"] for line in api.lines(limit=200)]
    found, cursor = [], None
    while True:
        page = api.client.get("/v1/audit", params={"limit": 1, **({"cursor": cursor} if cursor else {})}).json()
        found += [line["digest"] for line in page["lines"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert found == whole
    first = api.client.get("/v1/audit", params={"limit": 1}).json()["nextCursor"]
    assert api.client.get("/v1/audit", params={"cursor": first, "actor": "boss"}).status_code == 422
    assert api.lines(actor="boss", action="plan.disable", subject="mine")[0]["digest"] == whole[0]


def test_the_proof_is_told(api: Asked) -> None:
    with open_catalog(api.settings) as catalog:
        before = len(catalog.audit.newest(limit=1000))
    found = api.client.get("/v1/audit/verification").json()
    assert (found["ok"], found["waiting"], found["notMirrored"], found["notes"]) == (True, 0, before, [])
    AuditBook(api.settings).mirror(open_or_create_repository(api.settings)[0])
    assert api.client.get("/v1/audit/verification").json()["notMirrored"] == 0
