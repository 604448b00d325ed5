"""`status` and `test` by HTTP: the guide's path and the REST route say the same, also while half of the system is down."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from api.latest_look import LatestLook
from api.parts import Parts
from holdfast.errors import StorageUnreachableError
from holdfast.settings import Settings
from holdfast.tokens import Tokens
from orchestration.standing.gathering import Gathering
from tests.api.answering import answering
from tests.standing import settings_in, some_backups

GUIDE = "/functions/v1/backup?action="


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return settings_in(tmp_path, monkeypatch)


def test_both_paths_tell_the_same_of_one_look_and_start_nothing(settings: Settings) -> None:
    some_backups(settings)
    with answering(Parts(lambda: settings)) as client:
        rest, guide = client.get("/v1/status"), client.get(f"{GUIDE}status")
    assert (rest.status_code, rest.content) == (200, guide.content)
    found = rest.json()
    assert found["late"] is False
    assert found["at"].endswith("Z")
    assert found["types"][0]["lastGood"]["jobId"] == "newer"
    assert (found["parts"]["storage"], found["parts"]["catalog"]["ok"]) == ({"ok": True}, False)
    assert "canary-of-metrics" not in rest.text
    assert {one.name for one in settings.home.iterdir()} == {"repository"}


def test_the_first_look_is_waited_for_and_a_later_one_that_hangs_is_told_as_late(settings: Settings) -> None:
    some_backups(settings)
    gathering = Gathering(storages_seconds=1)
    looks = LatestLook(lambda: gathering.gather(settings), fresh_seconds=0.5, patience_seconds=0.3)
    with answering(Parts(lambda: settings, looks)) as client:
        assert client.get("/v1/status").json()["late"] is False
        description = settings.home / "repository" / "repository.json"
        description.unlink()
        os.mkfifo(description)
        end, late = time.monotonic() + 10, client.get("/v1/status").json()
        while not late["late"] and late["parts"]["storage"]["ok"]:
            assert time.monotonic() < end
            late = client.get("/v1/status").json()
        assert (late["late"], late["parts"]["storage"]["ok"]) == (True, True)
        told = late
        while told["parts"]["storage"]["ok"]:
            assert time.monotonic() < end
            told = client.get("/v1/status").json()
        assert "did not answer" in told["parts"]["storage"]["error"]
        os.close(os.open(description, os.O_WRONLY))


def test_a_token_without_the_scope_read_sees_nothing(settings: Settings) -> None:
    some_backups(settings)
    token = Tokens.of(settings).create("backups-only", ["backup"])
    with answering(Parts(lambda: settings), token) as client:
        for path in ("/v1/status", "/v1/test", f"{GUIDE}status", f"{GUIDE}test", "/metrics"):
            assert client.get(path).status_code == 403, path
    with answering(Parts(lambda: settings)) as client:
        assert client.get("/metrics").status_code == 401
        assert (client.get("/healthz").status_code, client.get("/readyz").status_code) == (200, 200)
    token = Tokens.of(settings).create("prometheus", ["read"])
    with answering(Parts(lambda: settings), token) as client:
        assert client.get("/metrics").status_code == 200
        assert client.get("/v1/status").json()["api"]["protected"] is True


def test_the_self_test_answers_with_what_failed(settings: Settings) -> None:
    some_backups(settings)
    with answering(Parts(lambda: settings)) as client:
        rest, guide = client.get("/v1/test").json(), client.get(f"{GUIDE}test").json()
    found = {one["name"]: one for one in rest["tests"]}
    assert (rest["ok"], found["storage"]["ok"], found["catalog"]["ok"]) == (False, True, False)
    assert (found["database"]["code"], bool(found["prefect"]["nextStep"])) == ("HF-702", True)
    assert [one["name"] for one in guide["tests"]] == list(found)


def test_ready_names_the_parts_that_are_not_and_nothing_else_of_them(settings: Settings, tmp_path: Path) -> None:
    with answering(Parts(lambda: settings)) as client:
        neither = client.get("/readyz")
    assert (neither.status_code, neither.json()["code"]) == (503, "HF-700")
    assert "storage, catalog" in neither.json()["detail"]
    assert str(tmp_path) not in neither.text
    some_backups(settings)
    with answering(Parts(lambda: settings)) as client:
        assert client.get("/readyz").json() == {"status": "ready"}
    tokens = settings.home / "api" / "tokens.json"
    tokens.parent.mkdir()
    tokens.write_text("{")
    with answering(Parts(lambda: settings)) as client:
        broken = client.get("/readyz")
    assert (broken.status_code, "tokens" in broken.json()["detail"], str(tmp_path) in broken.text) == (503, True, False)


def test_a_look_is_renewed_before_it_is_too_old_and_nobody_waits_for_it() -> None:
    calls: list[float] = []

    def look() -> int:
        calls.append(time.monotonic())
        if len(calls) == 2:
            time.sleep(0.3)
        return len(calls)

    taken = LatestLook(look, fresh_seconds=2)
    assert taken.get() == (1, False)
    end = time.monotonic() + 10
    while len(calls) < 2:
        before = time.monotonic()
        assert taken.get() == (1, False)
        assert time.monotonic() - before < 0.25
        assert time.monotonic() < end
        time.sleep(0.01)
    assert taken.get() == (1, False)


def test_a_look_that_fails_leaves_the_former_one() -> None:
    calls: list[int] = []

    def look() -> int:
        calls.append(1)
        if len(calls) > 1:
            raise StorageUnreachableError("no")
        return 1

    taken = LatestLook(look, fresh_seconds=0)
    assert taken.get()[0] == 1
    assert taken.get() == (1, True)
