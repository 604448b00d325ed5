"""A change with an Idempotency-Key is made once, whoever repeats it and whatever dies meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from api.action import Action, Asked, Body, Json, perform
from api.caller import Caller
from api.parts import Parts
from holdfast.catalog import Catalog
from holdfast.errors import BusyError, KeyReusedError, StillAtWorkError
from holdfast.postgres.connection import DatabaseUrl
from holdfast.settings import load_settings
from tests.catalog.conftest import Ask


class Said(Body):
    name: str = "plan"


Change = Callable[..., Json]


@pytest.fixture
def made() -> list[str]:
    """What was changed."""
    return []


@pytest.fixture
def change(url: DatabaseUrl, made: list[str], monkeypatch: pytest.MonkeyPatch) -> Change:
    """Ask for a change that is made here and now; `first` is done before it is made."""
    monkeypatch.setenv("BACKUP_CATALOG_URL", url.with_password().get_secret_value())
    parts = Parts(load_settings)

    def ask(key: str, *, name: str = "plan", who: str = "ci", first: Callable[[], Any] = lambda: None) -> Json:
        def make(asked: Asked[Said]) -> Json:
            first()
            made.append(asked.said.name)
            return {"name": asked.said.name, "number": len(made)}

        action = Action("change", "POST", "admin", Said, make, once=True)
        return perform(action, Asked(parts, Caller(who, frozenset({"admin"}), "127.0.0.1"), Said(name=name), key))

    return ask


def test_who_repeats_a_change_gets_the_first_answer_and_each_token_has_keys_of_its_own(change: Change, made: list[str]) -> None:
    assert change("a") == change("a") == {"name": "plan", "number": 1}
    assert change("a", who="another")["number"] == 2
    assert change("b")["number"] == 3
    with pytest.raises(KeyReusedError):
        change("a", name="another plan")
    assert len(made) == 3


def test_of_two_at_once_one_makes_the_change_and_the_other_is_told_to_wait(change: Change, made: list[str]) -> None:
    inside, done = Barrier(2, timeout=20), Barrier(2, timeout=20)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(change, "a", first=lambda: (inside.wait(), done.wait()))
        inside.wait()
        with pytest.raises(StillAtWorkError):
            change("a")
        with pytest.raises(KeyReusedError):
            change("a", name="another plan")
        done.wait()
        assert first.result() == change("a")
    assert made == ["plan"]


def test_a_change_that_failed_or_whose_process_died_can_be_asked_for_again(
    change: Change, made: list[str], catalog: Catalog, ask: Ask
) -> None:
    def fail() -> None:
        raise BusyError("not now")

    with pytest.raises(BusyError):
        change("a", first=fail)
    assert change("a")["number"] == 1
    died = catalog.requests.begin("ci", "b", ask("SELECT digest FROM api_requests")[0][0])
    with pytest.raises(StillAtWorkError):
        change("b")
    ask("UPDATE api_requests SET began_at = began_at - interval '61 seconds' WHERE key = 'b'")
    assert change("b")["number"] == 2
    catalog.requests.answer("ci", "b", str(died), {"of": "the dead"})
    assert change("b")["number"] == 2
    ask("UPDATE api_requests SET began_at = began_at - interval '25 hours'")
    assert catalog.requests.cleanup() == 2
    assert made == ["plan", "plan"]


def test_connections_are_kept_from_request_to_request_and_made_anew_after_a_restart(
    url: DatabaseUrl, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKUP_CATALOG_URL", url.with_password().get_secret_value())
    parts = Parts(load_settings)
    ours = "FROM pg_stat_activity WHERE application_name = 'holdfast-catalog' AND datname = current_database()"
    for _ in range(5):
        with parts.catalog() as catalog:
            assert catalog.jobs() == []
    assert len(ask(f"SELECT pid {ours}")) == 1
    before = ask(f"SELECT pid, pg_terminate_backend(pid) {ours}")
    with parts.catalog() as catalog:
        assert catalog.jobs() == []
    assert ask(f"SELECT pid {ours}") != [(before[0][0],)]
