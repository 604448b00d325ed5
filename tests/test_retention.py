"""What may be deleted and what never: rules that hold for every history, whatever the settings and the clocks say."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.retention import Judged, KnownBackup, Refusal, Rules, Verdict, judge

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAYS = {"database": 30, "function": 90, "config": 365, "secrets": 365}
RULES = Rules(DAYS)
DAY = timedelta(days=1)


def well(kind: str, source: str | None) -> None:
    """Say that the newest attempt succeeded."""


def known(number: int, days_ago: float, **facts: object) -> KnownBackup:
    backup = KnownBackup(f"backup_{number}", "database", "main", NOW - days_ago * DAY, "stored")
    return replace(backup, **facts)  # type: ignore[arg-type]


def gone(judged: Judged) -> list[str]:
    return [verdict.backup.id for verdict in judged if verdict.goes]


def told(judged: Judged, number: int) -> list[str]:
    (found,) = [verdict for verdict in judged if verdict.backup.id == f"backup_{number}"]
    return [str(reason) for reason in found.keeps]


def test_what_is_older_than_its_days_goes_and_the_last_good_ones_stay() -> None:
    judged, refused = judge([known(number, number * 10) for number in range(10)], RULES, NOW, well)
    assert gone(judged) == [f"backup_{number}" for number in range(3, 10)]
    assert {verdict.why for verdict in judged if verdict.goes} == {"older than 30 days"}
    assert told(judged, 0) == ["within 30 days", "the newest good one, for none is proven", "1 of the last 3 good ones"]
    assert refused == []


def test_bad_backups_take_nobodys_place() -> None:
    history = [known(0, 40), *(known(number, 40 + number, level=None) for number in range(1, 8)), known(8, 50), known(9, 60)]
    judged, _ = judge([*history, known(10, 70)], RULES, NOW, well)
    assert gone(judged) == [*(f"backup_{number}" for number in range(1, 8)), "backup_10"]
    assert told(judged, 9) == ["3 of the last 3 good ones"]


def test_the_newest_proven_one_stays_however_old_it_is() -> None:
    history = [*(known(number, number) for number in range(5)), known(5, 4000, level="proven"), known(6, 4001, level="proven")]
    judged, _ = judge(history, RULES, NOW, well)
    assert gone(judged) == ["backup_6"]
    assert told(judged, 5) == ["the newest proven one"]


@pytest.mark.parametrize("newest", [{"level": None}, {"damaged": "it is empty", "source": None, "level": None}])
def test_nothing_goes_while_the_newest_backup_is_bad(newest: dict[str, object]) -> None:
    judged, refused = judge([known(0, 1, **newest), *(known(number, number * 100) for number in range(1, 9))], RULES, NOW, well)
    assert gone(judged) == []
    (refusal,) = refused
    assert "the newest backup, backup_0, is" in refusal.why
    assert told(judged, 8) == [refusal.why]


def test_nothing_of_a_type_goes_while_its_newest_attempt_failed_and_other_types_are_cleaned_up() -> None:
    def failed(kind: str, source: str | None) -> str | None:
        return "the newest attempt failed" if kind == "database" else None

    of_database = [known(number, number * 100) for number in range(9)]
    of_functions = [replace(one, id=f"function_{one.id}", type="function") for one in of_database]
    judged, refused = judge([*of_database, *of_functions], RULES, NOW, failed)
    assert {verdict.backup.type for verdict in judged if verdict.goes} == {"function"}
    assert refused == [Refusal("database", "the newest attempt failed")]


def test_a_source_whose_attempts_fail_holds_back_itself_and_no_other() -> None:
    def failed(kind: str, source: str | None) -> str | None:
        return "no route to host" if source == "second" else None

    first = [known(number, number * 100) for number in range(5)]
    second = [known(10 + number, number * 100, source="second") for number in range(5)]
    judged, refused = judge([*first, *second], RULES, NOW, failed)
    assert gone(judged) == ["backup_3", "backup_4"]
    assert refused == [Refusal("database", "no route to host", "second")]


def test_grandfather_father_son_keep_the_last_of_each_day_week_month_and_year_by_utc() -> None:
    times = [NOW - timedelta(hours=12 * number) for number in range(2000)]
    history = [KnownBackup(f"b{number}", "database", "main", at, "stored") for number, at in enumerate(times)]
    judged, _ = judge(history, Rules({"database": 1}, 1, 3, 2, 2, 2), NOW, well)
    kept = {str(reason) for verdict in judged for reason in verdict.keeps}
    assert {text.removeprefix("the last good one of ") for text in kept if text.startswith("the last good")} == {
        *("2026-03-01", "2026-02-28", "2026-02-27", "week 2026-W09", "week 2026-W08", "2026-03", "2026-02", "2026", "2025"),
    }
    by_reason = {str(reason): verdict.backup.at for verdict in judged for reason in verdict.keeps}
    assert by_reason["the last good one of 2025"] == datetime(2025, 12, 31, 12, tzinfo=UTC)


def test_a_clock_that_jumped_ten_years_ahead_takes_no_more_than_the_rules_allow() -> None:
    history = [known(number, number, level="proven" if number == 20 else "stored") for number in range(25)]
    judged, _ = judge([*history, known(90, 9, pinned="pinned")], RULES, NOW + 3650 * DAY, well)
    assert [verdict.backup.id for verdict in judged if not verdict.goes] == [
        *(f"backup_{number}" for number in (0, 1, 2)),
        "backup_90",
        "backup_20",
    ]


def test_backups_of_a_time_in_the_future_stay_and_push_nothing_out() -> None:
    future = [known(number, -1000 - number, level="proven") for number in range(5)]
    history = [*future, known(10, 100, level="proven"), known(11, 200), known(12, 300), known(13, 400)]
    judged, _ = judge(history, RULES, NOW, well)
    assert gone(judged) == ["backup_13"]
    assert told(judged, 10) == ["the newest proven one", "1 of the last 3 good ones"]


def test_a_damaged_backup_goes_only_when_every_source_that_it_may_be_of_has_a_newer_good_one() -> None:
    damaged = known(5, 100, source=None, level=None, damaged="it is empty")
    first, second = known(1, 50), known(2, 200, source="second")
    judged, _ = judge([damaged, first, second], RULES, NOW, well)
    assert told(judged, 5) == ["no good one is newer"]
    judged, _ = judge([damaged, first, second, known(3, 60, source="second")], RULES, NOW, well)
    assert gone(judged) == ["backup_5"]


def test_what_a_source_makes_whose_clock_is_years_behind_is_not_old() -> None:
    before = [known(number, 40 + number) for number in range(5)]
    behind = [known(10 + number, 700 + number, came_at=NOW - number * DAY) for number in range(40)]
    judged, _ = judge([*before, *behind], RULES, NOW, well)
    assert gone(judged) == ["backup_3", "backup_4", *(f"backup_{number}" for number in range(40, 50))]
    assert told(judged, 11) == [
        f"within 30 days by another clock than its own, which says {NOW - 701 * DAY:%Y-%m-%d %H:%M} UTC",
        "one of the last 3 good ones that came, by another clock than its own",
    ]
    later, _ = judge([*before, *behind], RULES, NOW + 400 * DAY, well)
    assert [one.backup.id for one in later if not one.goes] == [f"backup_{number}" for number in (0, 1, 2, 10, 11, 12)]


# Thousands of histories, and rules written down a second time.


class History:
    """A history, rules and attempts, drawn from a seed: far quicker than to draw each fact by hypothesis."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.backups = [self._backup(number) for number in range(self._random.randrange(25))]
        days = {"database": self._random.randint(1, 100), "config": self._random.randint(1, 100)}
        self.rules = Rules(days, self._random.randint(1, 5), *(self._random.randint(0, 4) for _ in range(4)))
        self.failed = {name: "failed" if self._seldom() else None for name in ("database", "main")}

    def attempt(self, kind: str, source: str | None) -> str | None:
        if source is None:
            return self.failed["database"] if kind == "database" else None
        return self.failed["main"] if source == "main" else None

    def _backup(self, number: int) -> KnownBackup:
        choose = self._random
        span = choose.choice([24 * 4000, 24 * 120, 24 * 120, 72])
        at = NOW - timedelta(hours=choose.randint(-span if self._seldom() else 0, span))
        kind, source = choose.choice(["database", "config"]), choose.choice(["main", "second"])
        level = choose.choice([None, "stored", "read", "restored", "proven"])
        locked = NOW + timedelta(hours=choose.randint(-100, 100)) if self._seldom() else None
        pinned = "pinned by somebody" if self._seldom() else None
        found = KnownBackup(f"backup_{number:03}", kind, source, at, level, None, pinned, locked, self._seldom())
        if self._seldom():  # its clock was behind
            found = replace(found, came_at=at + timedelta(hours=choose.randint(24, span)))
        if self._seldom():  # its source is not known then, and its time is the storage's
            return replace(found, source=None, level=None, damaged="it is empty", at=min(at, NOW), came_at=None)
        return found

    def _seldom(self) -> bool:
        return self._random.random() < 0.15


@settings(max_examples=3000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 1 << 64))
def test_no_history_whatever_loses_what_the_rules_protect(seed: int) -> None:
    drawn = History(seed)
    history, rules = drawn.backups, drawn.rules
    judged, refused = judge(history, rules, NOW, drawn.attempt)
    assert sorted(verdict.backup.id for verdict in judged) == sorted(one.id for one in history), "each is judged, and once"
    for verdict in judged:
        assert bool(verdict.why) == verdict.goes, "each that goes is told why, and no other"
        if verdict.goes:
            _assert_may_go(verdict.backup, history, rules, drawn.failed)
        else:
            _assert_has_to_stay(verdict, history, rules, refused)
    kept = [verdict.backup for verdict in judged if not verdict.goes]
    _assert_enough_is_left(history, kept, rules)
    again, _ = judge(kept, rules, NOW, drawn.attempt)
    assert gone(again) == [], "what stays, stays when it is judged again at the same time"


def _assert_may_go(one: KnownBackup, history: Sequence[KnownBackup], rules: Rules, attempts: dict[str, str | None]) -> None:
    assert not (one.type == "database" and attempts["database"])
    assert not (one.source == "main" and attempts["main"])
    assert one.pinned is None
    assert not one.in_primary
    assert one.locked_until is None or one.locked_until <= NOW
    assert one.latest <= NOW - timedelta(days=rules.days[one.type])
    of_type = [other for other in history if other.type == one.type]
    for these in (of_type, [other for other in of_type if other.at <= NOW]):
        newest = max(these, key=lambda other: (other.at, other.id))
        assert newest.damaged is None
        assert newest.level is not None
    sources = {one.source} if one.source else {other.source for other in of_type if other.source}
    assert sources
    for source in sources:
        newer = [other for other in _good(of_type, source) if (other.at, other.id) > (one.at, one.id)]
        assert newer, "where it goes, a newer good one stays"
        assert one.good or newer[0].at > one.at


def _assert_has_to_stay(verdict: Verdict, history: Sequence[KnownBackup], rules: Rules, refused: Sequence[Refusal]) -> None:
    """Nothing is kept for a reason that it does not have."""
    one = verdict.backup
    kinds = {reason.kind for reason in verdict.keeps}
    good = _good([other for other in history if other.type == one.type], one.source)
    assert ("pinned" in kinds) == (one.pinned is not None)
    assert ("future" in kinds) == (one.at > NOW)
    assert ("young" in kinds) == (NOW - timedelta(days=rules.days[one.type]) < one.latest and one.at <= NOW)
    came_last = [other for other in _by_coming(good)[: rules.keep_last] if other.came_at]
    assert ("last" in kinds) == (one in good[: rules.keep_last] or one in came_last)
    if kinds == {"held back"}:
        assert any(refusal.type == one.type and refusal.source in (None, one.source) for refusal in refused)
    if "unreplaced" in kinds:
        assert not one.good


def _assert_enough_is_left(history: Sequence[KnownBackup], kept: Sequence[KnownBackup], rules: Rules) -> None:
    for kind, source in {(one.type, one.source) for one in history if one.source}:
        good = _good([one for one in history if one.type == kind], source)
        left = _good([one for one in kept if one.type == kind], source)
        assert left[: rules.keep_last] == good[: rules.keep_last]
        assert _by_coming(left)[: rules.keep_last] == _by_coming(good)[: rules.keep_last], "whatever their own clocks say"
        proven = [one for one in good if one.level == "proven"]
        assert (proven or good)[:1] == ([one for one in left if one.level == "proven"] or left)[:1]
        for form, count in (
            ("%Y-%m-%d", rules.keep_daily),
            ("%G %V", rules.keep_weekly),
            ("%Y-%m", rules.keep_monthly),
            ("%Y", rules.keep_yearly),
        ):
            newest_of: dict[str, KnownBackup] = {}
            for one in good:
                newest_of.setdefault(one.at.strftime(form), one)
            assert set(list(newest_of.values())[:count]) <= set(left)


def _by_coming(good: Sequence[KnownBackup]) -> list[KnownBackup]:
    """The good ones as they came, the last first, by the latest time that any clock says."""
    return sorted(good, key=lambda one: (one.latest, one.id), reverse=True)


def _good(history: Sequence[KnownBackup], source: str | None) -> list[KnownBackup]:
    """The good ones of a source that are not of the future, newest first."""
    found = [one for one in history if one.source == source and one.damaged is None and one.level and one.at <= NOW]
    return sorted(found, key=lambda one: (one.at, one.id), reverse=True)
