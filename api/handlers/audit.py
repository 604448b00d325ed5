"""The audit log: its lines, the newest first, and the proof that none was changed."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Annotated

from pydantic import Field

from api.action import Action, Asked, Body, Json, Nothing
from api.cursor import from_cursor, to_cursor
from api.handlers.jobs import Since
from holdfast.audit.reading import document_of, verified
from holdfast.catalog.audit_log import place_of
from holdfast.errors import BusyError

_one_at_a_time = threading.Lock()
_Filter = Annotated[str | None, Field(max_length=255)]


class LinesWanted(Body):
    """Which lines."""

    since: Since = None
    actor: _Filter = None
    action: _Filter = None
    subject: _Filter = None
    limit: Annotated[int, Field(ge=1, le=200, strict=False)] = 50
    cursor: Annotated[str | None, Field(max_length=500, description="nextCursor of the page before")] = None

    @property
    def filters(self) -> dict[str, str | None]:
        return {"actor": self.actor, "action": self.action, "subject": self.subject}


def _lines(asked: Asked[LinesWanted]) -> Json:
    said = asked.said
    before = _before(said) if said.cursor else None
    with asked.parts.catalog() as catalog:
        found = catalog.audit.newest(since=said.since, limit=said.limit + 1, before=before, **said.filters)
    shown = found[: said.limit]
    following = None
    if len(found) > len(shown):
        at, chain, sequence = place_of(shown[-1])
        following = to_cursor((datetime.fromisoformat(at), f"{chain}/{sequence}"), _bound(said))
    return {"lines": [document_of(line) for line in shown], "nextCursor": following}


def _verification(asked: Asked[Nothing]) -> Json:
    if not _one_at_a_time.acquire(blocking=False):
        raise BusyError(
            "the audit log is just being proven for somebody else",
            reason="it takes seconds where there are a hundred thousand lines",
            next_step="Ask again in a moment",
        )
    try:
        return verified(asked.parts.settings).document()
    finally:
        _one_at_a_time.release()


def _before(said: LinesWanted) -> tuple[str, str, int]:
    at, place = from_cursor(said.cursor or "", _bound(said))
    chain, _, sequence = place.partition("/")
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), chain, int(sequence)


def _bound(said: LinesWanted) -> Json:
    return {"list": "audit", **said.filters}


LINES = Action("audit", "GET", "admin", LinesWanted, _lines)
VERIFICATION = Action("audit-verification", "GET", "admin", Nothing, _verification)
