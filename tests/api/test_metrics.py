"""`/metrics` answers in time, whatever the storage does, and says how old what it tells is."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from api.latest_look import LatestLook
from api.parts import Parts
from holdfast.errors import StorageUnreachableError
from orchestration.standing.gathering import Standing, gathered
from tests.api.answering import answering
from tests.standing import settings_in, some_backups
from tests.test_metrics import samples


def test_a_scrape_tells_of_the_repository_and_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path, monkeypatch)
    some_backups(settings)
    with answering(Parts(lambda: settings)) as client:
        answer = client.get("/metrics")
    found = samples(answer.content)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert found["holdfast_backups", "database"] == 2
    assert (found["holdfast_repository_seen", ""], found["holdfast_catalog_seen", ""], found["holdfast_look_late", ""]) == (
        1,
        0,
        0,
    )
    assert {one.name for one in settings.home.iterdir()} == {"repository"}


def test_a_storage_that_hangs_does_not_hang_the_scrape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path, monkeypatch)
    some_backups(settings)
    hangs, goes_on = threading.Event(), threading.Event()

    def look_that_may_hang() -> Standing:
        if hangs.is_set():
            goes_on.wait(60)
        return gathered(settings)

    def look_that_waits() -> Standing:
        goes_on.wait(60)
        return gathered(settings)

    taken = LatestLook(look_that_may_hang, fresh_seconds=0, patience_seconds=0.2)
    with answering(Parts(looks=LatestLook(look_that_waits, patience_seconds=0.2))) as client:
        assert samples(client.get("/metrics").content) == {("holdfast_look_late", ""): 1, ("holdfast_repository_seen", ""): 0}
    with answering(Parts(looks=taken)) as client:
        before = samples(client.get("/metrics").content)
        hangs.set()
        late = samples(client.get("/metrics").content)
        assert client.get("/healthz").json() == {"status": "ok"}
        goes_on.set()
        hangs.clear()
        again = samples(client.get("/metrics").content)
    at = ("holdfast_look_timestamp_seconds", "")
    assert late[at] == before[at]
    assert late["holdfast_look_late", ""] == 1
    assert late["holdfast_backups", "database"] == 2
    assert again[at] > before[at]


def test_a_look_is_kept_for_a_while_and_a_failed_one_is_taken_again() -> None:
    calls: list[int] = []

    def fails_first() -> int:
        calls.append(len(calls))
        if len(calls) == 1:
            raise StorageUnreachableError("no")
        return calls[-1]

    taken = LatestLook(fails_first, fresh_seconds=60)
    assert taken.get() == (None, True)
    assert taken.get() == (1, False)
    assert taken.get() == (1, False)
    assert calls == [0, 1]


def test_a_repository_that_is_gone_is_told_and_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path, monkeypatch)
    with answering(Parts(lambda: settings)) as client:
        found = samples(client.get("/metrics").content)
    assert found["holdfast_repository_seen", ""] == 0
    assert found["holdfast_backup_enabled", "database"] == 1
