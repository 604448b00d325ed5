"""Since when: a time in any zone, or how long ago, however long that is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from api.handlers.jobs import JobsWanted


def test_how_long_ago_may_be_longer_than_there_are_times() -> None:
    found = JobsWanted.model_validate({"since": "999999d"}).since
    assert found is not None
    assert found < datetime.now(UTC) - timedelta(days=36000)


def test_a_time_of_another_zone_is_told_in_utc() -> None:
    assert JobsWanted.model_validate({"since": "2026-01-02T03:04:05+02:00"}).since == datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)
