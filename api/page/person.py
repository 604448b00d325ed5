"""Who looks at the page, and that what they send comes from a page that we showed them.

With a token configured that is whoever has logged in with one. Without, it is this machine alone, and a session is begun for it
all the same: what changes something takes its word against forgery, or any web page could have a browser here ask for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from starlette.datastructures import FormData

from api.access import caller_of, tokens_of
from api.caller import Caller
from api.page.sessions import HEADER, Session, caller_in, session_of, sessions_of
from api.request_record import this_request
from api.this_machine import host_in
from holdfast.errors import OutsideRefusedError, TokenInvalidError
from holdfast.tokens import Scope

_OURS = {None, "same-origin", "none"}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody at the page, and the session that they are shown it in."""

    caller: Caller
    session: Session

    def may(self, scope: Scope) -> bool:
        """Tell whether their token allows it."""
        return scope in self.caller.scopes


class LoggedOutError(TokenInvalidError):
    """Nobody has logged in, or the session has ended: the page asks for a token."""


def person_of(request: Request) -> Person:
    """Tell who looks. Raises LoggedOutError, OutsideRefusedError, SettingsError."""
    session = session_of(request)
    if not tokens_of(request).all():
        caller = caller_of(request)
        if session is None or session.digest is not None:
            session = sessions_of(request).begin(None)
            request.state.begun = session
        return Person(caller, session)
    caller_logged_in = None if session is None else caller_in(session, request)
    if session is None or caller_logged_in is None:
        raise LoggedOutError("nobody has logged in", next_step="Log in with a token")
    this_request().caller = caller_logged_in.name
    return Person(caller_logged_in, session)


ThePerson = Annotated[Person, Depends(person_of)]


async def said_by(request: Request, person: ThePerson) -> FormData:
    """Read a form that this person was shown. Raises OutsideRefusedError for any other."""
    require_ours(request)
    form = await request.form(max_files=0, max_fields=50)
    if not any(person.session.accepts(word) for word in _words(form.get("csrf"), request.headers.get(HEADER))):
        raise OutsideRefusedError(
            "this form does not come from a page of your session",
            reason="the session has ended since, or another page sent it",
            next_step="Nothing was done. Open the page again, and send it from there",
        )
    return form


TheForm = Annotated[FormData, Depends(said_by)]


def require_ours(request: Request) -> None:
    """Refuse what the browser says another site has sent. Raises OutsideRefusedError.

    An older browser names its page by Origin alone; of that the host counts, for a proxy may leave the port out of Host.
    """
    origin = request.headers.get("Origin")
    ours = host_in(f"//{request.headers.get('Host', '')}")
    from_elsewhere = origin is not None and (ours is None or host_in(origin) != ours)
    if from_elsewhere or request.headers.get("Sec-Fetch-Site") not in _OURS:
        raise OutsideRefusedError("another web page has sent this", next_step="Nothing was done. Open this page itself")


def text_in(form: FormData, name: str) -> str:
    """Return what a field says, without blanks around it; nothing where it is not there."""
    said = form.get(name)
    return said.strip() if isinstance(said, str) else ""


def texts_in(form: FormData, name: str) -> list[str]:
    """Return what a field lists, one on a line."""
    return [line.strip() for line in text_in(form, name).splitlines() if line.strip()]


def _words(*said: object) -> Iterable[str]:
    return [one for one in said if isinstance(one, str)]
