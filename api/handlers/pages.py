"""Lists, page by page: what all of them can be asked for, and where the next page begins."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from api.action import Body, Json
from api.cursor import Place, from_cursor, to_cursor
from holdfast.since import moment_of


def _moment(said: Any) -> Any:
    return moment_of(said) if isinstance(said, str) else said


class PageWanted(Body):
    """Which page of a list, the newest first."""

    since: Annotated[datetime | None, BeforeValidator(_moment), Field(description="ISO 8601, or how long ago: 24h, 7d")] = None
    limit: Annotated[int, Field(ge=1, le=200, strict=False)] = 50
    cursor: Annotated[str | None, Field(max_length=500, description="nextCursor of the page before")] = None

    @property
    def filters(self) -> Json:
        """What a cursor is bound to; since as it was said may be another moment by now."""
        return self.model_dump(exclude={"since", "limit", "cursor"})

    @property
    def before(self) -> Place | None:
        """Where the page before ended; None for the first. Raises RequestInvalidError."""
        return from_cursor(self.cursor, self.filters) if self.cursor else None

    def cursor_at(self, place: Place) -> str:
        """Return the cursor of the page that follows one which ends there."""
        return to_cursor(place, self.filters)
