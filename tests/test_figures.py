"""How figures are told to people."""

from __future__ import annotations

from datetime import timedelta

from holdfast import figures


def test_a_time_span_is_told_in_one_unit_and_small_ones_are_not_rounded_away() -> None:
    told = {"20 s": 20, "10 min": 600, "75 min": 4500, "7.5 h": 27000, "8 h": 28800, "30 h": 108_000, "8.8 days": 756_000}
    assert [figures.span(timedelta(seconds=seconds)) for seconds in told.values()] == list(told)
    assert figures.span(timedelta(days=12, hours=2)) == "12 days"


def test_a_moment_is_never_told_as_no_time_and_a_minute_never_as_sixty_seconds() -> None:
    told = {"under 0.1 s": 0.02, "0.1 s": 0.06, "59.9 s": 59.94, "1 min 0 s": 59.96, "2 min 5 s": 125, "3 h 10 min": 11_400}
    assert [figures.duration(seconds) for seconds in told.values()] == list(told)


def test_one_is_not_told_as_many() -> None:
    assert [figures.count(number, "backup") for number in (0, 1, 2)] == ["0 backups", "1 backup", "2 backups"]


def test_of_several_names_each_is_meant() -> None:
    assert [figures.either(names) for names in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a or b", "a, b or c"]
