"""Where the next page of a list begins: opaque text, made of what the page ended with and what was asked for.

A cursor that was changed, or is of another list, is refused: it would show something else than what it seems to.
"""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any

from api.json_body import is_plain
from holdfast.errors import RequestInvalidError

Place = tuple[datetime, str]
"""Time and id of the last one on a page."""

_SUM_BYTES = 6


def to_cursor(place: Place, asked: dict[str, Any]) -> str:
    """Write a place in the list of what was asked for."""
    said = json.dumps([place[0].astimezone(UTC).isoformat(), place[1]]).encode()
    return urlsafe_b64encode(_sum(said, asked) + said).decode().rstrip("=")


def from_cursor(cursor: str, asked: dict[str, Any]) -> Place:
    """Read it. Raises RequestInvalidError."""
    try:
        held = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        said = held[_SUM_BYTES:]
        at, job_id = json.loads(said)
        place = datetime.fromisoformat(at).astimezone(UTC), str(job_id)
    except (ValueError, TypeError, OverflowError):
        raise _unknown() from None
    if not is_plain(place[1]) or held[:_SUM_BYTES] != _sum(said, asked) or to_cursor(place, asked) != cursor:
        raise _unknown()
    return place


def _sum(said: bytes, asked: dict[str, Any]) -> bytes:
    """Bind a place to its list; it keeps mistakes out, and needs no secret: a place tells nothing that may not be seen."""
    return hashlib.sha256(said + json.dumps(asked, sort_keys=True, default=str).encode()).digest()[:_SUM_BYTES]


def _unknown() -> RequestInvalidError:
    return RequestInvalidError(
        "this cursor leads nowhere",
        reason="it was changed, or comes from a list with other filters",
        next_step="Give the nextCursor of the page before, with the same filters, or none",
        fields={"cursor": "it is not the nextCursor of such a list"},
    )
