"""How figures are told to people."""

from __future__ import annotations

from datetime import timedelta

from holdfast import figures


def test_a_time_span_is_told_in_one_unit_and_small_ones_are_not_rounded_away() -> None:
    told = {"20 s": 20, "10 min": 600, "75 min": 4500, "7.5 h": 27000, "8 h": 28800, "30 h": 108_000, "8.8 days": 756_000}
    assert [figures.span(timedelta(seconds=seconds)) for seconds in told.values()] == list(told)
    assert figures.span(timedelta(days=12, hours=2)) == "12 days"
