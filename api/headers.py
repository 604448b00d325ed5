"""What every answer carries: the request's id, what browsers are to keep to, and its line in the log.

It is the outermost part of the application: an error that nobody foresaw ends here as a problem, and its traceback in the log.
"""

from __future__ import annotations

import logging
import re
import time

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.log_budget import LogBudget
from api.problems import unforeseen
from api.request_record import RequestRecord, begin_record

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_UNLESS_SAID = {"Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}
_UNDER_TLS = {"Strict-Transport-Security": "max-age=31536000"}
_WATCHED = {"/healthz", "/readyz"}

_ACTION = re.compile(rb"(?:^|&)action=([a-z]{1,20}(?:-[a-z]{1,20}){0,3})(?:&|$)")

_log = logging.getLogger("holdfast.api.requests")


class Headers:
    """Wraps the application. What an answer says itself of caching and content stays: the page knows what it needs."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._strangers = LogBudget(_log)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = begin_record(scope["client"][0] if scope.get("client") else "unknown")
        began, status = time.monotonic(), 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add(MutableHeaders(scope=message), record, secure=scope["scheme"] == "https")
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:  # noqa: BLE001  whatever it is, who asked gets an answer, and the server goes on
            answer = unforeseen(error)
            if status == 0:
                await answer(scope, receive, send_with_headers)
        self._tell(scope, record, status, time.monotonic() - began)

    def _tell(self, scope: Scope, record: RequestRecord, status: int, seconds: float) -> None:
        if status < 400 and scope["path"] in _WATCHED:
            return
        if record.caller is None and not self._strangers.allows():
            return
        method, path = printable(scope["method"]), printable(scope["path"]) + _action(scope["query_string"])
        who = record.caller or "-"
        _log.info("%s %s %d %.0f ms, %s at %s, %s", method, path, status, seconds * 1000, who, record.address, record.id)


def printable(text: str, longest: int = 200) -> str:
    """Return what somebody sent as one line of a log can hold it."""
    return "".join(one if one.isprintable() and one != " " else "?" for one in text[:longest])


def _action(query: bytes) -> str:
    """Name the action of the guide's path; nothing else of a query is written down, for it may be a secret in the wrong place."""
    found = _ACTION.search(query)
    return f"?action={found[1].decode()}" if found else ""


def safe_headers(*, secure: bool) -> dict[str, str]:
    """Return what a browser has to keep to, whatever the answer is; `secure` is by TLS, here or at a proxy."""
    return _UNLESS_SAID | _ALWAYS | (_UNDER_TLS if secure else {})


def _add(headers: MutableHeaders, record: RequestRecord, *, secure: bool) -> None:
    headers["Request-Id"] = record.id
    for name, value in safe_headers(secure=secure).items():
        if name not in _UNLESS_SAID or name not in headers:
            headers[name] = value
