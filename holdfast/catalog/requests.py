"""Requests with a key that are carried out once: who repeats one is given the answer of the first time.

What died is taken over by whoever repeats it after a minute; what ended with an error may be tried again at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import sql
from holdfast.catalog.database import Database
from holdfast.catalog.records import to_json

KEPT_HOURS = 24
DEAD_SECONDS = 60


@dataclass(frozen=True, slots=True)
class KnownRequest:
    """A request that was made before. `answer` is None while it is being carried out."""

    digest: str
    answer: Any


class Requests:
    """The requests of a catalog. Every method raises DatabaseUnreachableError where that does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asked = sql.queries("api_requests")

    def begin(self, token: str, key: str, digest: str) -> str | None:
        """Make the request one's own and return the attempt's name; None: it is answered, or another is at it."""
        limits = {"kept_hours": KEPT_HOURS, "dead_seconds": DEAD_SECONDS}
        values = {"token": token, "key": key, "digest": digest, "attempt": str(uuid4()), **limits}
        rows = self._database.rows("noting a request", self._asked["begin"], **values)
        return str(rows[0].attempt) if rows else None

    def find(self, token: str, key: str) -> KnownRequest | None:
        """Find what is known of a request."""
        rows = self._database.rows("looking up a request", self._asked["get"], token=token, key=key)
        return KnownRequest(rows[0].digest, rows[0].answer) if rows else None

    def answer(self, token: str, key: str, attempt: str, answer: Any) -> None:
        """Keep the answer for whoever repeats the request."""
        values = {"token": token, "key": key, "attempt": attempt, "answer": to_json(answer)}
        self._database.rows("keeping an answer", self._asked["answer"], **values)

    def forget(self, token: str, key: str, attempt: str) -> None:
        """Let the request be tried again: it ended with an error."""
        self._database.rows("forgetting a request", self._asked["forget"], token=token, key=key, attempt=attempt)

    def cleanup(self) -> int:
        """Delete what nobody can repeat any more; return how many."""
        return len(self._database.rows("cleaning up", self._asked["cleanup"], kept_hours=KEPT_HOURS))
