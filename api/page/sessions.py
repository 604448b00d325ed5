"""Who has logged in at the page. Sessions live in the memory of this process, and each is only as good as its token is now.

A cookie holds a random id and nothing else. What changes something takes the session's own word against forgery, too, in a form
or in a header: the cookie alone, which a browser sends by itself, is never enough.
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import Request

from api.caller import Caller
from api.parts import Parts

COOKIE = "holdfast_session"
HEADER = "X-Holdfast-Csrf"
LONGEST_SECONDS = 12 * 3600.0
IDLE_SECONDS = 3600.0
MOST = 500
_ONLY_LOOK = {"GET", "HEAD"}


@dataclass(slots=True)
class Session:
    """One browser. `digest` is of the token that it was begun with; None: no token was configured."""

    id: str
    csrf: str
    digest: str | None
    began_at: float
    used_at: float

    def accepts(self, csrf: str | None) -> bool:
        """Tell whether a form or a header comes from a page that this session was shown."""
        return csrf is not None and hmac.compare_digest(self.csrf.encode(), csrf.encode())


class Sessions:
    """The sessions of one process, at most `most`: the one that was used least recently goes first. Safe to use from threads."""

    def __init__(self, most: int = MOST, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[str, Session] = {}

    def begin(self, digest: str | None) -> Session:
        """Begin a session and return it."""
        now = self._clock()
        made = Session(secrets.token_urlsafe(32), secrets.token_urlsafe(32), digest, now, now)
        with self._lock:
            self._forget_ended(now)
            while len(self._open) >= self._most:
                del self._open[min(self._open.values(), key=lambda one: one.used_at).id]
            self._open[made.id] = made
        return made

    def get(self, session_id: str | None) -> Session | None:
        """Return a session that has not ended, and note that it was used."""
        now = self._clock()
        with self._lock:
            found = self._open.get(session_id or "")
            if found is None or _ended(found, now):
                return None
            found.used_at = now
            return found

    def end(self, session: Session) -> None:
        """End a session; it may have ended already."""
        with self._lock:
            self._open.pop(session.id, None)

    def _forget_ended(self, now: float) -> None:
        for one in [one for one in self._open.values() if _ended(one, now)]:
            del self._open[one.id]


def _ended(session: Session, now: float) -> bool:
    return now - session.began_at > LONGEST_SECONDS or now - session.used_at > IDLE_SECONDS


def sessions_of(request: Request) -> Sessions:
    """Return the sessions of this application."""
    sessions: Sessions = request.app.state.sessions
    return sessions


def session_of(request: Request) -> Session | None:
    """Return the session that a request's cookie names."""
    return sessions_of(request).get(request.cookies.get(COOKIE))


def caller_of_session(request: Request) -> Caller | None:
    """Tell who has logged in at the page, None where nobody has, or where a change lacks the word against forgery in its header.

    Raises SettingsError where the tokens can't be read.
    """
    session = session_of(request)
    if session is None or not (request.method in _ONLY_LOOK or session.accepts(request.headers.get(HEADER))):
        return None
    return caller_in(session, request)


def caller_in(session: Session, request: Request) -> Caller | None:
    """Tell whose session it is, by its token as it is now: None where that was revoked or has expired."""
    parts: Parts = request.app.state.parts
    now = datetime.now(UTC)
    for token in parts.tokens.all():
        if session.digest is not None and hmac.compare_digest(token.digest, session.digest) and token.is_valid(now):
            return Caller(token.name, token.scopes, request.client.host if request.client else "unknown", "page")
    return None
