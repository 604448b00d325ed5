"""Sends requests to the Management API and decides what is tried again: the one place for that.

Tried again are 5xx, time-outs and broken connections, with growing random pauses, as often as the policy says; and 429, for as
long as its patience lasts, for the service then blocks all calls for a minute. A service that says when to come back is obeyed.
What a second try could do twice is sent again only where the first surely did nothing. An answer is bounded in size and time. No
error holds the token.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import httpx
from pydantic import SecretStr

from holdfast.errors import HoldfastError, NotFoundError, SourceDeniedError, SourceFailedError, SourceUnreachableError
from holdfast.sources.supabase.address import api_address, bearer, is_loopback
from holdfast.storage.retrying import RetryPolicy

_log = logging.getLogger(__name__)
_MOST_BYTES = 64 << 20  # a function may have 20 MB, bundled and compressed
_MOST_BYTES_SAID = 64 << 10
_REASON_CHARACTERS = 300
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_PASSING = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)


@dataclass(frozen=True, slots=True)
class Call:
    """A request: `what` it is to do, as errors say it; `right`, which the token needs for it.

    `repeatable`: to do it twice is the same as once. `quotable`: the service's words may be shown, for they can quote no secret.
    """

    method: str
    path: str
    what: str
    right: str
    repeatable: bool = True
    quotable: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for a call that succeeded."""

    call: Call
    content_type: str
    content: bytes

    def json(self) -> Any:
        """Read it as JSON. Raises SourceFailedError."""
        if "json" not in self.content_type.lower():
            raise _failed(self.call, f"it answered {self.content_type or 'nothing'} where JSON belongs")
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            raise _failed(self.call, "its answer is broken JSON") from None  # the cause holds all of the answer


class _LaterError(Exception):
    """One try failed, and another may not."""

    def __init__(self, reason: str, *, after_seconds: float = 0.0, busy: bool = False, done_nothing: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after_seconds = after_seconds
        self.busy = busy
        self.done_nothing = done_nothing or busy


class Transport:
    """An API at one address, opened with one token; may be used by several threads at once."""

    def __init__(self, address: str, token: SecretStr, *, timeout_seconds: float, policy: RetryPolicy) -> None:
        self.address = api_address(address)
        self._policy = policy
        self._token = token.get_secret_value().strip()
        self._client = httpx.Client(
            headers={"Authorization": bearer(token), "User-Agent": "holdfast"},
            timeout=timeout_seconds,
            trust_env=not is_loopback(self.address),  # a proxy would see what goes to this machine in clear
        )

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def send(self, call: Call, **request: Any) -> Answer:
        """Do a call. Raises SourceDeniedError, NotFoundError, SourceFailedError, SourceUnreachableError."""
        began = time.monotonic()
        tried = 0
        while True:
            try:
                return self._once(call, began, request)
            except _LaterError as later:
                tried += 1
                self._pause(call, later, tried, began)

    def _pause(self, call: Call, later: _LaterError, tried: int, began: float) -> None:
        pause_seconds = later.after_seconds + self._policy.pause_seconds(tried)
        passed_seconds = time.monotonic() - began
        given_up = tried >= self._policy.tries and not later.busy
        out_of_time = passed_seconds + pause_seconds > self._policy.patience_seconds
        if given_up or out_of_time or not (call.repeatable or later.done_nothing):
            often = f" (tried {tried} times in {passed_seconds:.0f} s)" if tried > 1 else ""
            raise SourceUnreachableError(
                f"could not {call.what}", reason=later.reason + often, next_step="Try again later"
            ) from later.__cause__
        _log.info("%s: %s; try %d in %.1f s", call.what, later.reason, tried + 1, pause_seconds)
        time.sleep(pause_seconds)

    def _once(self, call: Call, began: float, request: dict[str, Any]) -> Answer:
        url = self.address.copy_with(path=self.address.path + call.path)
        try:
            with self._client.stream(call.method, url, **request) as response:
                good = response.is_success
                content = self._content(call, response, began, _MOST_BYTES if good else _MOST_BYTES_SAID)
                if not good:
                    raise self._refusal(call, response, content)
                return Answer(call, response.headers.get("content-type", ""), content)
        except httpx.TransportError as error:
            raise _LaterError(_said(error), done_nothing=isinstance(error, _NOT_SENT)) from error
        except httpx.HTTPError as error:
            raise _failed(call, f"its answer can't be read ({type(error).__name__})") from error

    def _content(self, call: Call, response: httpx.Response, began: float, most_bytes: int) -> bytes:
        """Read an answer; of a refusal that is too long only the beginning."""
        content = bytearray()
        for piece in response.iter_bytes():
            content += piece
            if len(content) > most_bytes and response.is_success:
                raise _failed(call, f"its answer is longer than {most_bytes} bytes")
            if len(content) > most_bytes:
                break
            if time.monotonic() - began > self._policy.patience_seconds:
                raise _LaterError("its answer did not end in time")
        return bytes(content)

    def _refusal(self, call: Call, response: httpx.Response, content: bytes) -> HoldfastError | _LaterError:
        status = response.status_code
        reason = self._words(call, status, content)
        if status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            after_seconds = _after_seconds(response.headers.get("retry-after"))
            return _LaterError(reason, after_seconds=after_seconds, busy=status == HTTPStatus.TOO_MANY_REQUESTS)
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return SourceDeniedError(
                f"not allowed to {call.what}",
                reason=reason,
                next_step=f"Check that BACKUP_SUPABASE_ACCESS_TOKEN is valid and has the right {call.right} on the project",
            )
        if status == HTTPStatus.NOT_FOUND:
            return NotFoundError(
                f"could not {call.what}", reason=reason, next_step="Check that it exists, and BACKUP_SUPABASE_PROJECT"
            )
        return _failed(call, reason)

    def _words(self, call: Call, status: int, content: bytes) -> str:
        """Tell what the service said of its refusal, without the token."""
        answered = f"it answered {status}"
        if not call.quotable:
            return answered
        try:
            found = json.loads(content)
            text = found.get("message") or found.get("error") or ""
        except (ValueError, RecursionError, AttributeError):
            return answered
        line = (str(text).replace(self._token, "***").splitlines() or [""])[0]
        return f"{answered}: {line[:_REASON_CHARACTERS].rstrip('. ')}" if line else answered


def _failed(call: Call, reason: str) -> SourceFailedError:
    return SourceFailedError(f"could not {call.what}", reason=reason)


def _said(error: httpx.TransportError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "it does not answer in time"
    return str(error)[:_REASON_CHARACTERS].rstrip(". ") or type(error).__name__


def _after_seconds(text: str | None) -> float:
    """Read when to come back: seconds, or a date; 0 where it is neither."""
    if text is None:
        return 0.0
    try:
        seconds = float(text) if text.strip().isdigit() else (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return 0.0
    return max(seconds, 0.0)
