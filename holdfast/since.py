"""Since when, as somebody says it who asks what has happened: a time, or how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_AGO = re.compile(r"([1-9][0-9]{0,5})([hd])")
_LONGEST_AGO = timedelta(days=365 * 100)


def moment_of(said: str) -> datetime:
    """Read a time in ISO 8601, in UTC unless it says its zone, or how long ago: 24h, 7d. Raises ValueError."""
    if found := _AGO.fullmatch(said):
        ago = timedelta(**{"hours" if found[2] == "h" else "days": int(found[1])})
        return datetime.now(UTC) - min(ago, _LONGEST_AGO)
    moment = datetime.fromisoformat(said)
    try:  # PostgreSQL knows fewer time zones than Python
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError("is no time that can be told in UTC") from None
