"""How sizes, times, ratios and long lists are told to people, on a terminal and on a page; JSON has the exact values instead."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_BLOCKS = "▁▂▃▄▅▆▇█"


def size(count: int | None) -> str:
    """Tell a number of bytes: `12.3 MiB`."""
    if count is None:
        return "–"
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{count} B" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def count(number: int, what: str) -> str:
    """Tell how many there are of something that takes an s: `1 backup`, `3 backups`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def either(names: Sequence[str]) -> str:
    """Tell of several names that each is meant: `a, b or c`."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def moment(when: datetime | None) -> str:
    """Tell a time in UTC, to the second."""
    return "–" if when is None else when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def minute(when: datetime | None) -> str:
    """Tell a time in UTC, to the minute, where something else says that it is UTC."""
    return moment(when)[:16]


def minute_utc(when: datetime) -> str:
    """Tell a time to the minute: `2026-11-28 03:10 UTC`."""
    return f"{minute(when)} UTC"


def duration(seconds: float | None) -> str:
    """Tell how long something took: `under 0.1 s`, `3.4 s`, `2 min 5 s`, `3 h 10 min`."""
    if seconds is None:
        return "–"
    if seconds < 0.05:
        return "under 0.1 s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def age(when: datetime | None, *, now: datetime | None = None) -> str:
    """Tell how long ago something was: `just now`, `5 min ago`, `3 h ago`, `12 days ago`."""
    if when is None:
        return "never"
    seconds = ((now or datetime.now(UTC)) - when).total_seconds()
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{int(seconds // 60)} min ago"
    if seconds < 48 * 3600:
        return f"{int(seconds // 3600)} h ago"
    return f"{int(seconds // 86400)} days ago"


def share(part: int | None, whole: int | None) -> str:
    """Tell how much smaller something became: `1 : 5.2`."""
    if not (part and whole):
        return "–"
    ratio = whole / part
    return f"1 : {ratio:.1f}" if ratio < 100 else f"1 : {ratio:,.0f}"


def span(time: timedelta | None) -> str:
    """Tell a span of time in one unit, to a tenth below ten: `20 s`, `45 min`, `7.5 h`, `36 h`, `12 days`."""
    if time is None:
        return "–"
    minutes = time.total_seconds() / 60
    if minutes < 1:
        return f"{60 * minutes:.0f} s"
    if minutes < 90:
        return f"{minutes:.0f} min"
    count, unit = (minutes / 60, "h") if minutes < 72 * 60 else (minutes / 1440, "days")
    return f"{round(count, 1 if count < 10 else None):g} {unit}"


def until(when: datetime | None, *, now: datetime) -> str:
    """Tell how soon something is to be: `in 5 min`, `in 3 h`; `due` where its time has come."""
    if when is None:
        return "–"
    return "due" if when <= now else f"in {span(when - now)}"


def ratio(value: float | None) -> str:
    """Tell how many bytes one stands for: `5.2 : 1`."""
    if value is None:
        return "–"
    return f"{value:.1f} : 1" if value < 100 else f"{value:,.0f} : 1"


def picture(values: Sequence[float]) -> str:
    """Draw values as a row of blocks, the highest full: `▁▂▅█`. What is nothing shows as the lowest block."""
    highest = max(values, default=0)
    return "".join(_BLOCKS[min(7, int(8 * value / highest))] if highest else _BLOCKS[0] for value in values)


def first(texts: Sequence[str], most: int, count: int | None = None) -> list[str]:
    """Tell the first of many, and how many more there are; `count` where these are not all."""
    more = (len(texts) if count is None else count) - most
    return list(texts) if more <= 0 else [*texts[:most], f"and {more} more"]
