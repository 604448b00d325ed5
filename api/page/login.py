"""Logging in with a token, and out again. A wrong token counts here as it does anywhere."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from api.access import TheParts, require_token
from api.page.person import TheForm, ThePerson, require_ours
from api.page.sessions import session_of, sessions_of
from api.page.showing import PageRoute, forget, go_to, keep, page
from api.problems import status_of
from holdfast.errors import TokenInvalidError, TooManyFailuresError

router = APIRouter(route_class=PageRoute, include_in_schema=False)
_LONGEST = 500


@router.get("/login")
def ask(request: Request, parts: TheParts, next: str = "") -> Response:  # noqa: A002  the word in the address
    """Ask for a token; where none is configured there is nothing to ask."""
    if not parts.tokens.all():
        return go_to(request, "/")
    return page(request, None, "login.html", next=_inside(next), wrong=None)


@router.post("/login")
def log_in(
    request: Request,
    token: Annotated[str, Form(max_length=_LONGEST)] = "",
    next: Annotated[str, Form(max_length=2000)] = "",  # noqa: A002
) -> Response:
    """Begin a session with a token that is valid."""
    require_ours(request)
    try:
        found = require_token(request, token.strip())
    except (TokenInvalidError, TooManyFailuresError) as error:
        return page(request, None, "login.html", status_of(error), next=_inside(next), wrong=error)
    former = session_of(request)
    if former is not None:
        sessions_of(request).end(former)
    answer = go_to(request, _inside(next) or "/")
    keep(request, answer, sessions_of(request).begin(found.digest))
    return answer


@router.post("/logout")
def log_out(request: Request, person: ThePerson, _form: TheForm) -> Response:
    """End the session."""
    sessions_of(request).end(person.session)
    answer = go_to(request, "/login")
    forget(request, answer)
    return answer


def _inside(address: str) -> str:
    """Return an address of this page; nothing for one that leads to another site."""
    ours = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if ours else ""
