"""The small picture of the newest backups says from when its bars are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

from holdfast.history_picture import drawn
from holdfast.overview import BackupFacts, TypeOverview

BEGAN = datetime(2026, 11, 1, 1, tzinfo=UTC)


def dates(count: int, apart: timedelta) -> list[tuple[str, float, str | None]]:
    """What each date says, where it stands, and which of its ends that is."""
    moments = [BEGAN + apart * place for place in range(count)]
    history = tuple(BackupFacts(f"backup_{place}", at, at, 1000, 10, 1.0, "proven") for place, at in enumerate(moments))
    picture = ET.fromstring(drawn([TypeOverview("database", None, timedelta(days=1), history=history)]))
    found = [one for one in picture.iter("{http://www.w3.org/2000/svg}text") if (one.text or "").startswith("2026-")]
    return [(str(one.text), float(one.attrib["x"]), one.get("text-anchor")) for one in found]


def test_a_date_stands_below_the_bar_that_it_is_of() -> None:
    (first, second) = dates(2, timedelta(days=1))
    assert (first[0], second[0]) == ("2026-11-01", "2026-11-02")
    assert first[1] + 66 < second[1] < 300, "below the second bar, and not at the far end"
    assert dates(30, timedelta(days=1))[1] == ("2026-11-30", 712, "end")


def test_one_day_is_told_once() -> None:
    assert [date for date, _, _ in dates(3, timedelta(hours=1))] == ["2026-11-01"]
