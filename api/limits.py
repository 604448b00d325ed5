"""What a request may take: the length of its URL, headers and body, the time for it, and a place among those at once.

All of it is looked at before the application sees anything, and who is refused is told why, also where he still sends. A body
has arrived whole before a handler begins, so that nobody who sends slowly holds a thread or a place.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from http import HTTPStatus
from urllib.parse import parse_qs, unquote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.json_body import is_plain, require_json, require_json_type
from api.problems import problem
from api.stopping import Stopping
from holdfast.errors import HoldfastError, OverloadedError, RequestInvalidError, RequestTooLargeError

LONGEST_URL_BYTES = 8 * 1024
LONGEST_HEADERS_BYTES = 32 * 1024
LONGEST_BODY_BYTES = 1024 * 1024
BODY_SECONDS = 30.0
BODIES_AT_ONCE = 64
AT_ONCE = 64
WAITING_AT_ONCE = 200
"""Those who wait for the end of a job: they hold no thread, and so take no place among the others."""
_SMALL_BODY_BYTES = 32 * 1024
_LINGER_SECONDS, _LINGER_BYTES = 2.0, 8 * LONGEST_BODY_BYTES
_OF_JSON = ("/v1/", "/functions/")
_ALWAYS_ANSWERED = "/healthz"


class _Refused(Exception):  # noqa: N818  it is how a refusal is handed up, not an error of its own
    """`unread`: the body, or some of it, is still to come."""

    def __init__(self, error: HoldfastError, status: HTTPStatus | None = None, *, unread: bool = True) -> None:
        super().__init__(error.message)
        self.answer = problem(error, status)
        self.unread = unread


class _Gone(Exception):  # noqa: N818
    """Who asked has hung up."""


class Limits:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, stopping: Stopping, *, body_seconds: float = BODY_SECONDS, at_once: int = AT_ONCE) -> None:
        self._app = app
        self._stopping = stopping
        self._body_seconds = body_seconds
        self._at_once = at_once
        self._bodies = self._working = self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            _require_short(scope)
            body = await self._body(scope, receive)
        except _Refused as refused:
            if refused.unread:
                await _answer_and_linger(refused.answer, receive, send)
            else:
                await refused.answer(scope, receive, send)
        except _Gone:
            return
        else:
            await self._in_its_place(scope, receive if body is None else _given(body, receive), send)

    async def _body(self, scope: Scope, receive: Receive) -> bytes | None:
        """Wait for the whole body; None where there is none."""
        headers = Headers(scope=scope)
        if "content-length" not in headers and "transfer-encoding" not in headers:
            return None
        if int(headers.get("content-length", "0")) > LONGEST_BODY_BYTES:
            raise _too_long()
        if self._bodies >= BODIES_AT_ONCE:
            raise _Refused(_overloaded("too many bodies are arriving at once"))
        self._bodies += 1
        try:
            async with asyncio.timeout(self._body_seconds):
                body = await _whole(receive)
        except TimeoutError:
            error = RequestTooLargeError(f"the body did not arrive within {self._body_seconds:g} seconds")
            raise _Refused(error, HTTPStatus.REQUEST_TIMEOUT) from None
        finally:
            self._bodies -= 1
        if body.strip() and _path(scope).startswith(_OF_JSON):
            await _require_json_body(headers, body)
        return body

    async def _in_its_place(self, scope: Scope, receive: Receive, send: Send) -> None:
        waits = "wait" in parse_qs(scope["query_string"].decode("latin-1"))
        full = self._waiting >= WAITING_AT_ONCE if waits else self._working >= self._at_once
        if full and _path(scope) != _ALWAYS_ANSWERED:
            await problem(_overloaded("as many requests as it takes on are being answered"))(scope, receive, send)
            return
        self._working += not waits
        self._waiting += waits

        def done(task: asyncio.Task[None]) -> None:
            self._working -= not waits
            self._waiting -= waits
            if not task.cancelled():
                task.exception()  # whoever was cut is told of nothing any more

        outlet = _Outlet(send)
        task = asyncio.ensure_future(_as_task(self._app, scope, receive, outlet))
        task.add_done_callback(done)
        with self._stopping.cut() as cut:
            await asyncio.wait({task, cut}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        elif not outlet.used:
            outlet.closed = True
            await problem(_overloaded("it is being stopped"))(scope, receive, send)


class _Outlet:
    """Where an answer goes, until somebody else has answered."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.used = False
        self.closed = False

    async def __call__(self, message: Message) -> None:
        if not self.closed:
            self.used = True
            await self._send(message)


async def _as_task(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await app(scope, receive, send)


def _path(scope: Scope) -> str:
    """Return the path without what a proxy has put before it."""
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))


def _require_short(scope: Scope) -> None:
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > LONGEST_URL_BYTES:
        error = RequestTooLargeError(f"the URL is longer than {LONGEST_URL_BYTES} bytes")
        raise _Refused(error, HTTPStatus.REQUEST_URI_TOO_LONG)
    if sum(len(name) + len(value) for name, value in scope["headers"]) > LONGEST_HEADERS_BYTES:
        error = RequestTooLargeError(f"the headers are longer than {LONGEST_HEADERS_BYTES} bytes")
        raise _Refused(error, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    if not is_plain(scope["path"]) or not is_plain(unquote(scope["query_string"].decode("latin-1"))):
        raise _Refused(RequestInvalidError("the URL holds a NUL"))


async def _whole(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        body += message.get("body", b"")
        if len(body) > LONGEST_BODY_BYTES:
            raise _too_long()
        if not message.get("more_body", False):
            return bytes(body)


async def _require_json_body(headers: Headers, body: bytes) -> None:
    try:
        require_json_type(headers.get("content-type", ""), headers.get("content-encoding", ""))
    except RequestInvalidError as error:
        raise _Refused(error, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, unread=False) from None
    try:
        if len(body) > _SMALL_BODY_BYTES:
            await run_in_threadpool(require_json, body)  # others are answered meanwhile
        else:
            require_json(body)
    except RequestInvalidError as error:
        raise _Refused(error, unread=False) from None


def _given(body: bytes, receive: Receive) -> Receive:
    """Hand a body on that is here already; whoever asks for more learns when the other side hangs up."""
    handed_on = False

    async def once() -> Message:
        nonlocal handed_on
        if handed_on:
            return await receive()
        handed_on = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once


async def _answer_and_linger(answer: Response, receive: Receive, send: Send) -> None:
    """Answer, take for a moment what is still sent, then close: who sends reads the answer, and not of a broken connection."""
    headers = [*answer.raw_headers, (b"connection", b"close")]
    await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": True})
    with suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            taken, more = 0, True
            while more and taken < _LINGER_BYTES:
                message = await receive()
                taken += len(message.get("body", b""))
                more = message["type"] == "http.request" and message.get("more_body", False)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _too_long() -> _Refused:
    return _Refused(RequestTooLargeError(f"the body is longer than {LONGEST_BODY_BYTES} bytes"))


def _overloaded(why: str) -> OverloadedError:
    return OverloadedError("the HTTP API does not take this request on now", reason=why, next_step="Ask again in a few seconds")
