"""A run ends when it is done, and says no more that it lives."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from prefect import flow_engine

import orchestration.tasks  # noqa: F401  as every flow imports it
from orchestration.run_heartbeat import end_without_heartbeat


class Engine:
    """As much of Prefect's engine as the thread that beats sees."""

    heartbeat_seconds = 30
    flow_run = None
    logger = SimpleNamespace(debug=lambda *_, **__: None)

    def __init__(self) -> None:
        self.told = 0
        self.beats = threading.Event()
        self.by: threading.Thread | None = None

    def _build_heartbeat_event_template(self) -> tuple[None, None]:
        return None, None

    def _emit_flow_run_heartbeat(self, *_: Any) -> None:
        self.told += 1
        self.by = threading.current_thread()
        self.beats.set()


def test_a_run_does_not_wait_for_its_heartbeat_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[threading.Thread] = []
    join = threading.Thread.join
    monkeypatch.setattr(threading.Thread, "join", lambda thread, timeout=None: waited.append(thread))
    engine: Any = Engine()
    with flow_engine._send_heartbeats(engine):
        assert engine.beats.wait(30)
    assert waited == []
    monkeypatch.undo()
    assert engine.by is not None
    join(engine.by, 30)
    assert not engine.by.is_alive()
    assert engine.told == 1


@pytest.mark.parametrize(
    "other",
    [None, nullcontext, lambda engine, wait=True: nullcontext((engine, wait)), "no function"],
    ids=["none", "one that is not joined", "another parameter", "something else"],
)
def test_a_prefect_that_has_it_otherwise_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch, other: Any) -> None:
    if other is None:
        monkeypatch.delattr(flow_engine, "_send_heartbeats")
    else:
        monkeypatch.setattr(flow_engine, "_send_heartbeats", other)
    end_without_heartbeat()
    assert getattr(flow_engine, "_send_heartbeats", None) is other


def test_what_a_later_prefect_gives_besides_reaches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def later(engine: Any, join_on_exit: bool = True, *, every_seconds: int = 30) -> tuple[Any, bool, int]:
        return engine, join_on_exit, every_seconds

    monkeypatch.setattr(flow_engine, "_send_heartbeats", later)
    end_without_heartbeat()
    changed: Any = flow_engine._send_heartbeats
    assert changed("engine") == ("engine", False, 30)
    assert changed("engine", True, every_seconds=5) == ("engine", False, 5)
    assert changed(engine="engine", join_on_exit=True) == ("engine", False, 30)
