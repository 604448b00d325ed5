"""A cursor leads to where its page ended, and one that somebody made up leads nowhere."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta, timezone

import pytest

from api.cursor import _sum, from_cursor, to_cursor
from holdfast.errors import RequestInvalidError

AT = datetime(2026, 1, 2, 3, 4, 5, 678, UTC)
ASKED = {"type": "database"}


def test_it_leads_to_where_the_page_ended_in_whatever_zone_the_time_was_told() -> None:
    here = AT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert from_cursor(to_cursor((AT, "backup_1"), ASKED), ASKED) == (AT, "backup_1")
    assert from_cursor(to_cursor((here, "backup_1"), ASKED), ASKED) == (AT, "backup_1")


@pytest.mark.parametrize(
    "said",
    [
        '["2026-01-02T03:04:05", "x"]',
        '["0001-01-01T00:00:00+23:59", "x"]',
        '["2026-01-02T03:04:05+00:00", "a\\u0000b"]',
        '["2026-01-02T03:04:05+00:00", "\\ud800"]',
        '["2026-01-02T03:04:05+00:00"]',
        "[1, 2]",
        "7",
        "\udcff",
    ],
)
def test_one_that_somebody_made_up_with_a_right_sum_leads_nowhere(said: str) -> None:
    held = said.encode("utf-8", "surrogateescape")
    made_up = urlsafe_b64encode(_sum(held, ASKED) + held).decode().rstrip("=")
    with pytest.raises(RequestInvalidError):
        from_cursor(made_up, ASKED)


def test_one_of_another_list_or_with_a_changed_letter_leads_nowhere() -> None:
    cursor = to_cursor((AT, "backup_1"), ASKED)
    held = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    assert json.loads(held[6:]) == [AT.isoformat(), "backup_1"]
    for wrong, asked in ((cursor, {}), (cursor[:-1], ASKED), (f"A{cursor[1:]}" if cursor[0] != "A" else f"B{cursor[1:]}", ASKED)):
        with pytest.raises(RequestInvalidError):
            from_cursor(wrong, asked)
