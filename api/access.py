"""Who may ask: whoever shows a valid token. Where no token is configured, this machine alone, and no web page.

Why a token is not valid is never said, and a token that is valid is never kept waiting. Where it can't be known which tokens
there are nobody may ask.
"""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import Depends, Request

from api.caller import Caller
from api.failures import Failures
from api.page.sessions import COOKIE, caller_of_session
from api.parts import Parts
from api.request_record import this_request
from api.this_machine import require_this_machine
from holdfast.errors import ApiClosedError, SettingsError, TokenInvalidError, TooManyFailuresError
from holdfast.tokens import SCOPES, Token, Tokens

_log = logging.getLogger("holdfast.api")


def parts_of(request: Request) -> Parts:
    """Return what the handlers of this process work with."""
    parts: Parts = request.app.state.parts
    return parts


def caller_of(request: Request) -> Caller:
    """Tell who asks. Raises TokenInvalidError, TooManyFailuresError, OutsideRefusedError, ApiClosedError."""
    caller = _caller(request, tokens_of(request))
    this_request().caller = caller.name
    return caller


def tokens_of(request: Request) -> Tokens:
    """Return the tokens, which can be read. Raises ApiClosedError, and writes into the log why."""
    try:
        tokens = parts_of(request).tokens
        tokens.all()
    except SettingsError as error:
        _log.error("nobody is let in: %s", error)
        raise ApiClosedError(
            "the HTTP API can't tell who may ask, and so lets nobody in",
            next_step="Look into its log on the host: it says what is wrong with its tokens or settings",
        ) from None
    return tokens


def require_token(request: Request, shown: str) -> Token:
    """Return the token that somebody shows. Raises TokenInvalidError, TooManyFailuresError."""
    found = tokens_of(request).find(shown)
    if found is None:
        raise _failed(request)
    return found


def _caller(request: Request, tokens: Tokens) -> Caller:
    address = address_from(request)
    if not tokens.all():
        require_this_machine(request)
        return Caller("loopback", frozenset(SCOPES), address, "loopback")
    said = _said(request)
    if said is None and COOKIE in request.cookies and (caller := caller_of_session(request)) is not None:
        return caller
    kind, _, shown = (said or "").partition(" ")
    token = require_token(request, shown.strip() if kind.lower() == "bearer" else "")
    return Caller(token.name, token.scopes, address)


def _said(request: Request) -> str | None:
    """Return what a request shows; of two things neither counts, for a proxy in front may have looked at the other one."""
    shown = request.headers.getlist("Authorization")
    return shown[0] if len(shown) == 1 else "" if shown else None


def address_from(request: Request) -> str:
    """Return the address that a request comes from."""
    return request.client.host if request.client else "unknown"


def _failed(request: Request) -> TokenInvalidError | TooManyFailuresError:
    failures: Failures = request.app.state.failures
    wait_seconds = failures.count(address_from(request))
    if not wait_seconds:
        return TokenInvalidError("a valid token is needed", next_step="Send it as 'Authorization: Bearer TOKEN'")
    error = TooManyFailuresError(
        "too many requests without a valid token came from this address", next_step=f"Wait {wait_seconds} seconds, or send one"
    )
    error.retry_after_seconds = wait_seconds
    return error


async def _parts_of(request: Request) -> Parts:
    """What takes no time needs no thread."""
    return parts_of(request)


TheParts = Annotated[Parts, Depends(_parts_of)]
TheCaller = Annotated[Caller, Depends(caller_of)]
