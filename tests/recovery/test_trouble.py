"""A blip starts nothing, what lasts is told once, and nobody waits for ever: the event of a trouble, run by run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from holdfast.recovery.triggers import DATABASE_PERFORMANCE_DEGRADED, DATABASE_UNAVAILABLE
from holdfast.recovery.trouble import AGAIN_AFTER, Trouble, carried_on, judge_troubles
from holdfast.recovery.verdict import State, Verdict

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = AT + timedelta(minutes=5)


def looks(*states: State) -> list[Verdict]:
    return [Verdict("database", state, f"it is {state}.") for state in states]


def run(before: Trouble | None, *states: State, at: datetime = AT) -> Trouble | None:
    return carried_on(before, looks(*states), at, needed=3)


def lasting(*states: State) -> Trouble:
    found = run(None, *(states or ("lost", "lost", "lost")))
    assert found is not None
    return found


@pytest.mark.parametrize(
    "states",
    [
        ("lost", "healthy"),
        ("lost", "lost", "healthy"),
        ("lost", "lost"),
        ("lost", "slow"),
        ("lost", "unknown"),
        ("unknown",),
        ("healthy",),
        (),
    ],
)
def test_what_not_every_look_finds_is_no_trouble(states: tuple[State, ...]) -> None:
    assert run(None, *states) is None


def test_what_every_look_finds_is_told_once_and_again_after_a_day() -> None:
    found = lasting()
    assert (found.event, found.state, found.first_seen_at) == (DATABASE_UNAVAILABLE, "lost", AT)
    assert found.is_to_be_emitted(AT)
    told = found.emitted(AT, ["database_failure"])
    still = run(told, "lost", "lost", "lost", at=LATER)
    assert still is not None
    assert (still.first_seen_at, still.emitted_at, still.plans) == (AT, AT, ("database_failure",))
    assert not still.is_to_be_emitted(LATER)
    assert still.is_to_be_emitted(AT + AGAIN_AFTER)


def test_the_same_event_for_another_reason_is_no_news_and_another_event_is() -> None:
    told = lasting("slow", "slow", "slow").emitted(AT, [])
    assert told.event == DATABASE_PERFORMANCE_DEGRADED
    worse = run(told, "lost", "lost", "lost", at=LATER)
    assert worse is not None
    assert worse.is_to_be_emitted(LATER)
    assert (worse.event, worse.first_seen_at) == (DATABASE_UNAVAILABLE, AT)
    unreachable = run(worse.emitted(LATER, []), "unreachable", "unreachable", "unreachable", at=LATER)
    assert unreachable is not None
    assert (unreachable.state, unreachable.is_to_be_emitted(LATER)) == ("unreachable", False)


def test_only_a_run_that_finds_it_well_at_once_ends_it() -> None:
    told = lasting().emitted(AT, [])
    for unsettled in (("lost", "healthy"), ("unknown",), ("lost", "lost", "unknown"), ()):
        assert run(told, *unsettled, at=LATER) == told
    assert run(told, "healthy", at=LATER) is None


def test_it_outlives_being_kept_and_what_is_none_is_told() -> None:
    for one in (lasting(), lasting().emitted(LATER, ["one", "two"])):
        assert Trouble.from_json(one.to_json()) == one
    for spoilt in (None, "text", {"subject": "database"}, lasting().to_json() | {"firstSeenAt": "never"}):
        with pytest.raises(ValueError, match=r".+"):
            Trouble.from_json(spoilt)


def test_people_are_told_whether_a_plan_sees_to_it() -> None:
    seen_to, alone = lasting().emitted(AT, ["database_failure"]), lasting().emitted(AT, [])
    found = judge_troubles({"database": seen_to}, ["database", "config"])
    assert found["trouble-config"] is None
    alarm = found["trouble-database"]
    assert alarm is not None
    assert (alarm.title, alarm.since) == ("The database is lost", AT)
    assert alarm.what.startswith("it is lost. The event database_unavailable was emitted, to which the plan database_failure")
    assert "holdfast recover --list" in alarm.next_step
    without = judge_troubles({"database": alone}, ["database"])["trouble-database"]
    assert without is not None
    assert "no recovery plan listens" in without.what
    assert "holdfast plans list" in without.next_step
    off = judge_troubles({"database": lasting()}, ["database"])["trouble-database"]
    assert off is not None
    assert "was not emitted" in off.what
