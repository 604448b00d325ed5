"""The audit log: its lines, the newest first, and the proof that none was changed."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Annotated

from pydantic import Field

from api.action import Action, Asked, Json, Nothing
from api.cursor import Place
from api.handlers.pages import PageWanted
from holdfast.audit.reading import document_of, verified
from holdfast.catalog.audit_log import place_of
from holdfast.errors import BusyError

_one_at_a_time = threading.Lock()
_Filter = Annotated[str | None, Field(max_length=255)]


class LinesWanted(PageWanted):
    """Which lines."""

    actor: _Filter = None
    action: _Filter = None
    subject: _Filter = None


def _lines(asked: Asked[LinesWanted]) -> Json:
    said = asked.said
    before = said.before and _before(said.before)
    with asked.parts.catalog() as catalog:
        found = catalog.audit.newest(since=said.since, limit=said.limit + 1, before=before, **said.filters)
    shown = found[: said.limit]
    following = None
    if len(found) > len(shown):
        at, chain, sequence = place_of(shown[-1])
        following = said.cursor_at((datetime.fromisoformat(at), f"{chain}/{sequence}"))
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


def _before(ended: Place) -> tuple[str, str, int]:
    at, place = ended
    chain, _, sequence = place.partition("/")
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), chain, int(sequence)


LINES = Action("audit", "GET", "admin", LinesWanted, _lines)
VERIFICATION = Action("audit-verification", "GET", "admin", Nothing, _verification)
