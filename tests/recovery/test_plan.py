"""A plan that can't be carried out is refused when it is written, with all that is wrong with it at once."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from holdfast.errors import ExitCode, PlanInvalidError
from holdfast.recovery.plan import read_plan
from tests.recovery.sample_plans import document, plan, step


def problems(**changes: Any) -> str:
    with pytest.raises(PlanInvalidError) as caught:
        read_plan(document(**changes))
    assert caught.value.exit_code == ExitCode.USAGE
    return caught.value.reason or ""


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([], "steps: there is none"),
        ([step("a"), step("a")], "steps: two have the id 'a'"),
        ([step("a", dependencies=["b"])], "steps.a: it waits for 'b', and there is no such step"),
        ([step("a", dependencies=["a"])], "steps.a: it waits for itself"),
        (
            [step("a", dependencies=["c"]), step("b", dependencies=["a"]), step("c", dependencies=["b"])],
            "steps: a waits for c waits for b waits for a",
        ),
        ([step(type="hope")], "steps.tell: there is no type of step 'hope'; the types are assessment, backup_restore"),
        ([step(timeout=6)], "steps.tell: a timeout of 6 minutes is outside the 1 to 5 that notification may take"),
        ([step(timeout=0)], "steps.0.timeout: input should be greater than 0"),
        ([step(retryCount=-1)], "steps.0.retryCount: input should be greater than or equal to 0"),
        ([step(parameters={})], "steps.tell: parameters.message: it is missing"),
        ([step(parameters={"message": "x", "volume": "loud"})], "steps.tell: parameters.volume: there is no such field"),
        ([step(parameters={"on": date(2026, 1, 1)})], "steps.0.parameters: it holds what JSON can't say"),
        ([step(parameters={"deep": {1: "x"}})], "steps.0.parameters: it holds what JSON can't say"),
        ([step(parameters=json.loads('{"a":' * 500 + "1" + "}" * 500))], "steps.0.parameters: it is nested too deeply"),
        ([step(parameters={"much": float("inf")})], "steps.0.parameters: out of range"),
        ([step(colour="red")], "steps.0.colour: there is no such field"),
    ],
)
def test_steps_that_can_not_be_carried_out_are_named(steps: list[dict[str, Any]], told: str) -> None:
    assert told in problems(steps=steps)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"id": "../etc"}, "id: at most 100 letters, digits"),
        ({"priority": "asap"}, "priority: input should be 'low', 'medium', 'high' or 'critical'"),
        ({"triggers": ["test_trigger"]}, "test_trigger starts a drill of any plan"),
        ({"triggers": ["a b"]}, "triggers: 'a b' is no name of an event"),
        ({"triggers": ["twice", "twice"]}, "triggers: twice is there twice"),
        ({"estimatedRecoveryTime": 0}, "estimatedRecoveryTime: input should be greater than or equal to 1"),
        ({"owner": "me"}, "owner: there is no such field"),
        ({"name": " "}, "name: it is empty"),
    ],
)
def test_a_plan_that_means_nothing_is_named(changes: dict[str, Any], told: str) -> None:
    assert told in problems(**changes)


def test_all_that_is_wrong_is_told_at_once() -> None:
    told = problems(steps=[step(timeout=6), step(type="hope", dependencies=["nobody"])], triggers=["a b"])
    assert len(told.splitlines()) == 5


def test_what_was_given_is_not_repeated_for_it_may_be_a_secret() -> None:
    assert "hunter2" not in problems(steps=[step(timeout="hunter2")], priority="hunter2")
    assert "hunter2" not in problems(steps=[step(parameters={"message": {"x": "hunter2"}})])


def test_a_plan_that_holds_a_secret_is_refused_without_repeating_it() -> None:
    address = "postgresql://me:hunter2@db.example.com/shop"
    told = problems(description=f"Copies {address}", steps=[step(parameters={"message": f"see {address}"})])
    assert "description: it holds a secret" in told
    assert "steps.0.parameters.message: it holds a secret" in told
    assert "hunter2" not in told


def test_a_timeout_may_be_outside_of_the_guides_range_where_it_says_why() -> None:
    assert plan(steps=[step(timeout=60, timeoutReason="the pager is slow")]).step("tell").timeout == 60


def test_a_time_without_a_zone_is_taken_for_utc() -> None:
    assert plan(lastTested="2026-01-02T03:04:05") == plan(lastTested="2026-01-02T05:04:05+02:00")


def test_the_digest_of_a_plan_stays_when_it_is_tested_and_changes_with_what_it_says() -> None:
    assert plan().digest == plan(lastTested="2026-01-02T03:04:05Z").digest
    assert len({plan().digest, plan(enabled=False).digest, plan(requiresApproval=True).digest, plan(name="Other").digest}) == 4
