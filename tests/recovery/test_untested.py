"""Plans that nobody has tried for a quarter are told, before anybody needs them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from prefect.client.schemas.actions import VariableCreate
from prometheus_client.parser import text_string_to_metric_families

from cli import status_text
from holdfast import metrics
from holdfast.open_alarms import alarms_in, variable_name
from holdfast.overview import Overview
from holdfast.period import Period
from holdfast.period_report import markdown
from holdfast.recovery.untested import PlanTest, judge_tests
from orchestration.standing import documents

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
TESTED = PlanTest("database_failure", "Database Failure Recovery", True, NOW, NOW, timedelta(days=92))


def plan_drilled(days_ago: float | None, *, changed_days_ago: float = 400, enabled: bool = True) -> PlanTest:
    last = None if days_ago is None else NOW - timedelta(days=days_ago)
    return replace(TESTED, last_tested=last, changed_at=NOW - timedelta(days=changed_days_ago), enabled=enabled)


def overview(*plans: PlanTest, at: datetime = NOW, recorded: bool = True) -> Overview:
    return Overview(at, None, (), None, seen=True, recorded=recorded, plans=plans)


def alarm_of(plan: PlanTest) -> bool:
    return judge_tests(overview(plan))["untested-database-failure"] is not None


def test_a_plan_that_was_not_drilled_for_a_quarter_is_an_alarm_and_a_drilled_one_is_not() -> None:
    assert alarm_of(plan_drilled(94))
    assert not alarm_of(plan_drilled(91))
    assert not alarm_of(plan_drilled(0))


def test_a_plan_that_was_never_drilled_counts_from_the_day_it_was_made_or_changed() -> None:
    assert alarm_of(plan_drilled(None, changed_days_ago=94))
    assert not alarm_of(plan_drilled(None, changed_days_ago=30))


def test_a_plan_that_is_off_is_nobodys_worry() -> None:
    off = plan_drilled(None, enabled=False)
    assert not alarm_of(off)
    assert not off.is_due(NOW)
    assert not off.is_untested(NOW)


def test_an_alarm_says_since_when_what_to_type_and_that_it_harms_nothing() -> None:
    alarm = judge_tests(overview(plan_drilled(100)))["untested-database-failure"]
    assert alarm is not None
    assert alarm.since == NOW - timedelta(days=8)
    assert alarm.next_step == "Run: holdfast drill --plan database_failure. It changes nothing that is live"
    assert "every 92 days" in alarm.what
    assert alarm.last_good == "drilled 2026-08-20 12:00 UTC"


def test_monthly_turns_drill_each_plan_about_once_a_quarter_and_never_let_one_become_an_alarm() -> None:
    last = datetime(2026, 1, 15, 5, 30, tzinfo=UTC)
    drilled = []
    for month in range(2, 25):
        turn = datetime(2026 + (month - 1) // 12, (month - 1) % 12 + 1, 15, 5, 30, tzinfo=UTC)
        plan = replace(TESTED, last_tested=last)
        assert judge_tests(overview(plan, at=turn)) == {"untested-database-failure": None}
        if plan.is_due(turn):
            drilled.append((turn - last).days)
            last = turn + timedelta(minutes=10)
    assert set(drilled) <= {89, 90, 91, 92}, drilled


def test_the_alarm_of_a_plan_that_was_removed_ends_but_not_because_nobody_can_ask_the_catalog() -> None:
    opened = ["untested-removed", "database-bad"]
    assert judge_tests(overview(plan_drilled(1)), opened) == {"untested-removed": None, "untested-database-failure": None}
    assert judge_tests(overview(recorded=False), opened) == {}


def test_metrics_and_report_tell_of_each_plan_when_it_was_drilled() -> None:
    never = replace(plan_drilled(None), plan_id="ours", name="Ours")
    look = overview(plan_drilled(100), never, replace(never, plan_id="off", name="Off", enabled=False))
    families = text_string_to_metric_families(metrics.exposition(look, {}).decode())
    told = {one.labels["plan"]: one.value for family in families for one in family.samples if "plan" in one.labels}
    assert told == {"database_failure": (NOW - timedelta(days=100)).timestamp(), "ours": 0.0}
    page = markdown(Period(NOW - timedelta(days=7), look, judge_tests(look), None, None, {}))
    assert "- Database Failure Recovery: drilled 100 days ago, which is too long ago\n" in page
    assert "- Ours: never drilled, which is too long ago\n" in page
    assert "- Off: off\n" in page
    assert "- The recovery plan Ours is untested: " in page.partition("## Backups")[0]


def test_status_tells_how_many_plans_there_are_and_which_are_untested() -> None:
    new = replace(plan_drilled(None, changed_days_ago=1), plan_id="new")
    told = status_text._plans_text(documents.plans(overview(plan_drilled(100), new)))
    assert told == "2 on; untested for too long: database_failure; not drilled yet: new"
    assert status_text._plans_text([]) is None


def test_a_new_plan_is_drilled_at_the_first_turn() -> None:
    assert plan_drilled(None, changed_days_ago=1).is_due(NOW)
    assert not plan_drilled(20).is_due(NOW)


def test_an_alarm_can_be_kept_whatever_the_plan_is_called_and_no_two_plans_share_one() -> None:
    ids = ["database_failure", "database-failure", "Database_Failure", "database.failure", "database__failure", "a_b", "a-b", "A"]
    keys = judge_tests(overview(*(replace(plan_drilled(100), plan_id=one) for one in ids))).keys()
    assert len(keys) == len(ids)
    for key in keys:
        VariableCreate(name=variable_name(key, "shop"), value=None)
        assert alarms_in([{"name": variable_name(key, "shop"), "value": "spoilt"}], "shop") == ({}, [variable_name(key, "shop")])
