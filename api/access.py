"""Who may ask: whoever shows a valid token. Where no token is configured, this machine alone, and no web page."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from api.caller import Caller
from api.parts import Parts
from holdfast.errors import OutsideRefusedError, TokenInvalidError
from holdfast.tokens import SCOPES

_LOOPBACK = {"127.0.0.1", "::1"}


def parts_of(request: Request) -> Parts:
    """Return what the handlers of this process work with."""
    parts: Parts = request.app.state.parts
    return parts


def caller_of(request: Request) -> Caller:
    """Tell who asks. Raises TokenInvalidError, TooManyFailuresError, OutsideRefusedError."""
    address = request.client.host if request.client else "unknown"
    tokens = parts_of(request).tokens
    if not tokens.all():
        return _from_this_machine(request, address)
    kind, _, shown = request.headers.get("Authorization", "").partition(" ")
    found = tokens.find(shown.strip()) if kind.lower() == "bearer" else None
    if found is None:
        raise TokenInvalidError("a valid token is needed", next_step="Send it as 'Authorization: Bearer TOKEN'")
    return Caller(found.name, found.scopes, address)


def _from_this_machine(request: Request, address: str) -> Caller:
    del request
    if address not in _LOOPBACK:
        raise OutsideRefusedError(
            "no token is configured, so that only this machine may ask", next_step="Make one: holdfast tokens create NAME"
        )
    return Caller("loopback", frozenset(SCOPES), address, "loopback")


TheParts = Annotated[Parts, Depends(parts_of)]
TheCaller = Annotated[Caller, Depends(caller_of)]
