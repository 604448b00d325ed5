"""Drills of recovery plans: those that are due come to their turn, each is timed and noted, and one that fails is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.drill import plans_text
from flows.plan_drill import plan_drill
from holdfast.errors import DrillFailedError
from orchestration.recovery.drills import chosen
from tests.flows.conftest import Installation
from tests.recovery.scripting import log, plan, scripted_types, step


@pytest.fixture
def good_and_bad(installation: Installation, tmp_path: Path) -> Iterator[Path]:
    """Two plans that were never drilled, and one that is off; nobody has others."""
    with scripted_types():
        good = plan("good", tmp_path / "good", step("look", type="scripted_look"), step("mend", "look"))
        bad = plan("bad", tmp_path / "bad", step("mend", fails=9))
        off = plan("off", tmp_path / "off", step("mend"), enabled=False)
        installation.only_plans(bad, good, off)
        yield tmp_path
        installation.only_plans()


def test_plans_that_are_due_are_drilled_timed_and_noted_and_one_that_fails_hinders_no_other(
    installation: Installation, good_and_bad: Path
) -> None:
    with pytest.raises(DrillFailedError, match="1 of 2 recovery plans did not pass their drill: bad") as caught:
        plan_drill()
    found = caught.value.found
    assert found is not None
    bad, good = found["plans"]
    assert (good["planId"], good["ok"], good["estimatedSeconds"]) == ("good", True, 300)
    assert 0 < good["seconds"] < 300
    assert (bad["planId"], bad["status"], bad["ok"]) == ("bad", "failed", False)
    assert "Mend failed: mend failed as scripted" in bad["error"]
    assert log(good_and_bad / "off") == []
    with installation.catalog() as catalog:
        tested = {one.plan_id: one.last_tested for one in catalog.plans.tests(92)}
        execution = catalog.executions.find(good["executionId"])
    assert tested["good"] is not None
    assert tested["bad"] is None, "a drill that failed tests nothing"
    assert execution is not None
    assert (execution.mode, execution.trigger) == ("drill", "test_trigger")
    assert execution.steps[1].output["mode"] == "drill"
    assert execution.metadata["withinEstimate"] is True
    assert 0 < execution.metadata["measuredSeconds"] <= good["seconds"] + 0.1
    assert [row["plan"] for row in _rows(installation)] == ["bad", "good"]
    assert chosen(None) == ["bad"], "the good one is not due any more"
    assert chosen(["all"]) == ["bad", "good"]


def test_a_plan_is_drilled_when_somebody_asks_for_it_due_or_not(installation: Installation, good_and_bad: Path) -> None:
    for _ in range(2):
        found = plan_drill(plans=["good"])
        assert [one["status"] for one in found["plans"]] == ["success"]
    assert log(good_and_bad / "good").count("mend") == 2
    headline, *_ = plans_text(found)
    assert "1 of 1 plan passed the drill" in str(headline)


def _rows(installation: Installation) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = json.loads(installation.artifacts("plan-drills")[-1])
    return rows
