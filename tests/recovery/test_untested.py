"""Plans that nobody has tried for a quarter are told, before anybody needs them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from holdfast.recovery.untested import PlanTest, judge_tests

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
TESTED = PlanTest("database_failure", "Database Failure Recovery", True, NOW, NOW, timedelta(days=92))


def plan_drilled(days_ago: float | None, *, made_days_ago: float = 400, enabled: bool = True) -> PlanTest:
    last = None if days_ago is None else NOW - timedelta(days=days_ago)
    return replace(TESTED, last_tested=last, made_at=NOW - timedelta(days=made_days_ago), enabled=enabled)


def alarm_of(plan: PlanTest) -> bool:
    return judge_tests([plan], NOW)["untested:database_failure"] is not None


def test_a_plan_that_was_not_drilled_for_a_quarter_is_an_alarm_and_a_drilled_one_is_not() -> None:
    assert alarm_of(plan_drilled(94))
    assert not alarm_of(plan_drilled(91))
    assert not alarm_of(plan_drilled(0))


def test_a_plan_that_was_never_drilled_counts_from_the_day_it_was_made() -> None:
    assert alarm_of(plan_drilled(None, made_days_ago=94))
    assert not alarm_of(plan_drilled(None, made_days_ago=30))


def test_a_plan_that_is_off_is_nobodys_worry() -> None:
    off = plan_drilled(None, enabled=False)
    assert not alarm_of(off)
    assert not off.is_due(NOW)
    assert not off.is_untested(NOW)


def test_an_alarm_says_since_when_what_to_type_and_that_it_harms_nothing() -> None:
    alarm = judge_tests([plan_drilled(100)], NOW)["untested:database_failure"]
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
        assert judge_tests([plan], turn) == {"untested:database_failure": None}
        if plan.is_due(turn):
            drilled.append((turn - last).days)
            last = turn + timedelta(minutes=10)
    assert set(drilled) <= {89, 90, 91, 92}, drilled


def test_a_new_plan_is_drilled_at_the_first_turn() -> None:
    assert plan_drilled(None, made_days_ago=1).is_due(NOW)
    assert not plan_drilled(20).is_due(NOW)
