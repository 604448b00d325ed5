"""What is done next, what is left out, and what an execution ends as: decided without doing anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import RefusedError
from holdfast.recovery.execution import Execution
from holdfast.recovery.ordering import in_order, ready, with_left_out
from holdfast.recovery.plan import Plan
from holdfast.recovery.running import (
    FRESH,
    begun,
    ended,
    is_outdated,
    may_begin,
    reasons_to_ask,
    resumed,
    rolled_back,
    step_begun,
    step_done,
    step_failed,
    step_undone,
    to_undo,
    touched,
)
from holdfast.recovery.step_type import Outcome
from holdfast.recovery.verdict import State, Verdict
from tests.recovery.scripting import plan, scripted_types, step

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _types() -> Iterator[None]:
    with scripted_types():
        yield


def _begun(made: Plan, **more: Any) -> Execution:
    given = {"trigger": "manual", "mode": "run", "facts": {}, "forced": False, **more}
    return begun(made, "recovery_1_a", at=NOW, **given)


def _done(execution: Execution, step_id: str, at: datetime = NOW, **more: Any) -> Execution:
    record = step_done(step_begun(execution.step(step_id), at), Outcome("done", **more), at)
    return execution.with_step(record)


def _failed(execution: Execution, step_id: str) -> Execution:
    return execution.with_step(step_failed(step_begun(execution.step(step_id), NOW), "it broke", NOW))


def _found(execution: Execution, step_id: str, state: State, ask: str | None = None) -> Execution:
    return _done(execution, step_id, verdict=Verdict("database", state, f"The database is {state}", ask=ask))


def _ids(steps: list[Any]) -> list[str]:
    return [one.id for one in steps]


def _states(execution: Execution) -> dict[str, str]:
    return {one.id: one.state for one in execution.steps}


def test_dependencies_come_first_then_order_then_the_place_in_the_plan(tmp_path: Path) -> None:
    made = plan("p", tmp_path, step("last", "b", order=0), step("b", order=2), step("c", order=1), step("a", order=1))
    assert _ids(in_order(made)) == ["c", "a", "b", "last"]
    execution = _begun(made)
    assert _ids(ready(made, execution)) == ["c", "a", "b"]
    assert _ids(ready(made, _done(execution, "b"))) == ["c", "a", "last"]


def test_nothing_is_changed_before_all_assessments_that_can_look_have_looked(tmp_path: Path) -> None:
    made = plan("p", tmp_path, step("mend"), step("look", type="scripted_look", order=9), step("tell", type="scripted_tell"))
    execution = _begun(made)
    assert _ids(may_begin(made, execution, {})) == ["look", "tell"]
    assert _ids(may_begin(made, execution, {"look": made.step("look")})) == ["tell"]
    assert _ids(may_begin(made, _found(execution, "look", "lost"), {})) == ["mend", "tell"]


def test_what_waits_for_a_failed_step_is_left_out_and_the_rest_goes_on(tmp_path: Path) -> None:
    made = plan("p", tmp_path, step("a"), step("b", "a"), step("c", "b"), step("alone"))
    execution = with_left_out(made, _failed(_begun(made), "a"))
    assert _states(execution) == {"a": "failed", "alone": "waiting", "b": "left out", "c": "left out"}
    assert execution.step("b").summary == "A failed"
    assert _ids(ready(made, execution)) == ["alone"]


@pytest.mark.parametrize(("state", "told"), [("healthy", "left out"), ("slow", "waiting"), ("unknown", "waiting")])
def test_a_system_that_is_not_lost_is_left_alone_and_people_are_told_unless_all_is_well(
    state: State, told: str, tmp_path: Path
) -> None:
    made = plan(
        "p", tmp_path, step("look", type="scripted_look"), step("mend", "look"), step("tell", "mend", type="scripted_tell")
    )
    execution = with_left_out(made, _found(_begun(made), "look", state))
    assert _states(execution) == {"look": "done", "mend": "left out", "tell": told}
    assert f"The database is {state}" in str(execution.step("mend").summary)
    assert _ids(ready(made, execution)) == (["tell"] if told == "waiting" else [])
    assert ended(execution, NOW).status == "success"


@pytest.mark.parametrize("more", [{"forced": True}, {"mode": "drill"}])
def test_what_is_forced_or_drilled_is_done_though_all_is_well(more: dict[str, Any], tmp_path: Path) -> None:
    made = plan("p", tmp_path, step("look", type="scripted_look"), step("mend", "look"))
    execution = with_left_out(made, _found(_begun(made, **more), "look", "healthy"))
    assert _ids(ready(made, execution)) == ["mend"]


def test_what_an_execution_ends_as(tmp_path: Path) -> None:
    made = plan("p", tmp_path, step("a"), step("b"))
    execution = _begun(made)
    assert ended(_done(_done(execution, "a"), "b"), NOW).status == "success"
    assert ended(_failed(_done(execution, "a"), "b"), NOW).status == "partial"
    nothing = ended(_failed(execution, "a"), NOW)
    assert (nothing.status, nothing.error) == ("failed", "A: it broke")
    assert ended(_done(execution, "a", needed=False), NOW, "it was cancelled").status == "failed"
    killed = ended(execution.with_step(step_begun(execution.step("a"), NOW)), NOW + timedelta(seconds=3), "it died")
    assert (killed.status, killed.step("a").state, killed.duration_ms) == ("failed", "failed", 3000)


def test_a_resumed_execution_does_nothing_twice_and_goes_on_counting(tmp_path: Path) -> None:
    made = plan("p", tmp_path, step("a"), step("b", "a"), step("c", "b"))
    execution = ended(with_left_out(made, _failed(_done(_begun(made), "a"), "b")), NOW)
    again = resumed(Execution.of(execution.document()), NOW)
    assert _states(again) == {"a": "done", "b": "waiting", "c": "waiting"}
    assert (again.status, again.error, again.step("b").attempts) == ("running", None, 1)
    assert step_begun(again.step("b"), NOW).attempts == 2
    with pytest.raises(RefusedError, match="has ended well"):
        resumed(replace(execution, status="success"), NOW)


def test_an_old_look_is_taken_again_and_its_approval_ends_unless_something_was_changed(tmp_path: Path) -> None:
    made = plan("p", tmp_path, step("look", type="scripted_look"), step("a", "look"), step("b", "a"))
    execution = replace(_found(_begun(made), "look", "lost"), approved_by="somebody")
    soon = resumed(execution, NOW + FRESH / 2)
    assert (soon.step("look").state, soon.approved_by) == ("done", "somebody")
    late = resumed(execution, NOW + 2 * FRESH)
    assert (late.step("look").state, late.step("look").attempts, late.approved_by) == ("waiting", 1, None)
    changed = resumed(_done(execution, "a"), NOW + 2 * FRESH)
    assert (changed.step("look").state, changed.approved_by) == ("done", "somebody")


def test_what_was_found_counts_no_more_after_another_attempt_after_a_while_or_when_the_clock_was_set_back(tmp_path: Path) -> None:
    made = plan("p", tmp_path, step("look", type="scripted_look"), step("a", "look"))
    execution = _found(_begun(made), "look", "lost")
    begun_once = execution.with_step(step_begun(execution.step("a"), NOW))
    assert not is_outdated(made, begun_once, made.step("a"), NOW + FRESH / 2)
    assert is_outdated(made, begun_once, made.step("a"), NOW + 2 * FRESH)
    assert is_outdated(made, begun_once, made.step("a"), NOW - FRESH)
    assert _states(resumed(execution, NOW - FRESH))["look"] == "waiting"
    again = resumed(begun_once, NOW)
    assert is_outdated(made, again.with_step(step_begun(again.step("a"), NOW)), made.step("a"), NOW)


def test_a_clock_that_was_set_back_does_not_turn_the_order_of_undoing(tmp_path: Path) -> None:
    made = plan("p", tmp_path, step("a"), step("b", "a"))
    execution = _done(_done(_begun(made), "a", undo={}), "b", NOW - FRESH, undo={})
    assert _ids(to_undo(made, execution)) == ["b", "a"]


def test_a_person_is_asked_before_the_first_change_and_never_for_a_drill(tmp_path: Path) -> None:
    steps = (step("look", type="scripted_look"), step("mend", "look"))
    asks = plan("p", tmp_path, *steps, requiresApproval=True)
    execution = _begun(asks)
    assert reasons_to_ask(asks, execution) == []
    lost = _found(execution, "look", "lost", ask="rows are newer than the backup")
    assert reasons_to_ask(asks, lost) == ["the plan p says so", "rows are newer than the backup"]
    assert reasons_to_ask(asks, replace(lost, approved_by="somebody")) == []
    assert reasons_to_ask(asks, replace(lost, mode="drill")) == []
    assert reasons_to_ask(plan("p", tmp_path, *steps), _found(execution, "look", "lost")) == []


def test_the_last_thing_done_is_the_first_to_be_undone(tmp_path: Path) -> None:
    made = plan("p", tmp_path, step("a"), step("b", "a"), step("c", "b"), step("d"))
    execution = _begun(made)
    for seconds, step_id, undo in ((0, "a", {"x": 1}), (1, "b", None), (2, "c", {"x": 3}), (3, "d", {"x": 4})):
        execution = _done(execution, step_id, NOW + timedelta(seconds=seconds), undo=undo)
    assert _ids(to_undo(made, execution)) == ["d", "c", "a"]
    for step_id in ("d", "c", "a"):
        execution = execution.with_step(step_undone(execution.step(step_id), Outcome("undone"), NOW))
    assert to_undo(made, execution) == []
    back = rolled_back(execution, NOW)
    assert (back.status, back.error) == ("partial", "it was rolled back, but for B")
    assert "rolledBackAt" in back.metadata
    again = resumed(back, NOW)
    assert _states(again) == {"a": "waiting", "b": "done", "c": "waiting", "d": "waiting"}
    assert "rolledBackAt" not in again.metadata, "were it to fail now, it would be told as rolled back"


def test_what_a_plan_works_on_is_what_its_steps_work_on(tmp_path: Path) -> None:
    made = plan("p", tmp_path, step("a", touches=["service:web", "database"]), step("b", touches=["database"]))
    assert touched(made) == ["database", "service:web"]
