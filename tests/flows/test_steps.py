"""How tasks behave: what is tried again, what is not, and what never reaches a log."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest
from prefect import flow, tags, task_engine
from pydantic import SecretStr

from holdfast.errors import BusyError, HoldfastError, SnapshotLostError, StorageUnreachableError, TimeLimitError, WrongKeyError
from orchestration import tasks
from orchestration.masking import hide, masked
from orchestration.progress import Progress, watched_by
from orchestration.tasks import readers, results, step, untagged
from tests.flows.conftest import Installation


@pytest.fixture(autouse=True)
def _server(installation: Installation) -> None:
    """All of this needs the Prefect server."""


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (StorageUnreachableError, 3),
        (WrongKeyError, 1),
        (TimeLimitError, 1),
        (BusyError, 1),
        (SnapshotLostError, 1),
        (KeyError, 1),
    ],
)
def test_only_what_can_succeed_on_another_try_is_tried_again(
    error: type[HoldfastError], tries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "FIRST_DELAY_SECONDS", 0.01)
    calls = []

    @step("try {what}", retries=2)
    def attempt(what: str) -> None:
        calls.append(what)
        raise error("it did not work")

    @flow
    def trying() -> None:
        attempt("this")

    with pytest.raises(error):
        trying()
    assert len(calls) == tries


def test_the_first_task_to_fail_ends_the_waiting() -> None:
    @step("wait")
    def wait() -> None:
        time.sleep(1)

    @step("fail")
    def fail() -> None:
        raise WrongKeyError("at once")

    @flow(task_runner=readers())
    def both() -> float:
        started = time.monotonic()
        with pytest.raises(WrongKeyError):
            results([wait.submit(), fail.submit()])
        return time.monotonic() - started

    assert both() < 1


def test_tasks_of_a_tagged_run_ask_the_server_for_no_limit_of_its_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    asked_for: list[str] = []
    limited = task_engine._concurrency

    def noted(names: list[str], **named: Any) -> Any:
        asked_for.extend(names)
        return limited(names=names, **named)

    monkeypatch.setattr(task_engine, "_concurrency", noted)

    @step("work")
    def work() -> None: ...

    @flow(task_runner=readers())
    def tagged() -> set[str]:
        work()
        asked_as_ever = set(asked_for)
        asked_for.clear()
        with untagged():
            work()
            results([work.submit()])
        return asked_as_ever

    with tags("known"):
        assert tagged() == {"tag:known"}, "this Prefect asks in another way, and this test sees nothing"
    assert asked_for == []


def test_a_secret_that_a_library_logs_does_not_reach_prefect(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    canary = "canary-in-a-log-2f1d"
    hide(SecretStr(canary))
    assert masked(f"x {canary} y") == "x ******** y"

    @flow
    def careless() -> str:
        from prefect.logging import get_run_logger
        from prefect.runtime import flow_run

        get_run_logger().warning("connecting with %s", canary)
        try:
            raise ValueError(canary)
        except ValueError:
            get_run_logger().exception("it failed")
        return str(flow_run.id)

    with caplog.at_level(logging.INFO):
        run_id = careless()
    end = time.monotonic() + 20
    while "it failed" not in (said := installation.logs(run_id)):
        assert time.monotonic() < end
        time.sleep(0.2)
    assert canary not in said
    assert "connecting with ********" in said


def test_progress_is_told_to_whoever_watches_and_ends_at_all() -> None:
    told: list[tuple[int, int | None]] = []

    @flow
    def working() -> None:
        with watched_by(lambda done, whole: told.append((done, whole))), Progress("steps-progress", "steps") as progress:
            progress.expect(100)
            progress.stream("one")(30)
            progress.stream("two")(40)
            assert progress.percent == 70
            progress.stream("two")(400)
            assert progress.percent == 99

    working()
    assert told == [(30, 100), (70, 100), (430, 100)]
