"""What the home's Prefect server can't write at once it tries again itself, in place of the one who asked.

Its SQLite refuses a request at once when another has written between its reading and its writing, which happens while runs begin
and end. Prefect answers 503 to that, and to what else its database can't do now. Its clients try the same requests again, after
two seconds and more each time; here they are tried again at once. What is refused again and again, only after a wait, or with a
time at which to come again, is answered as ever; so is a request that is too large to be held.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

HELD_BYTES_MAX = 16 << 20
WAITS_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32)
AT_ONCE_SECONDS = 1.0


class SecondTries:
    """An ASGI application that answers as another does, once that one can."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        asked = await _beginning(receive)
        if asked[-1].get("more_body"):
            await self._application(scope, _Attempt(asked, receive, send).receive, send)
            return
        for wait_seconds in WAITS_SECONDS:
            attempt = _Attempt(asked, receive, send)
            try:
                await self._application(dict(scope), attempt.receive, attempt.send)
            except Exception:
                if not attempt.refused:  # else it is what was refused: Starlette raises it when it has answered
                    raise
            if not attempt.refused:
                return
            await asyncio.sleep(random.uniform(0.5, 1.5) * wait_seconds)  # noqa: S311  apart from others, who wait too
        await self._application(scope, _Attempt(asked, receive, send).receive, send)


class _Attempt:
    """One try: it is told the request from its beginning, and a refusal that came at once goes no further."""

    def __init__(self, asked: list[Message], receive: Receive, send: Send) -> None:
        self._asked = list(asked)
        self._receive = receive
        self._send = send
        self._began = time.monotonic()
        self.refused = False

    async def receive(self) -> Message:
        return self._asked.pop(0) if self._asked else await self._receive()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            at_once = time.monotonic() - self._began < AT_ONCE_SECONDS
            names = {name.lower() for name, _ in message.get("headers", ())}
            unavailable = message["status"] == HTTPStatus.SERVICE_UNAVAILABLE
            self.refused = at_once and unavailable and b"retry-after" not in names
        if not self.refused:
            await self._send(message)


async def _beginning(receive: Receive) -> list[Message]:
    """Take a request in to its end, or to where the one who asks is gone, or to what is held at most."""
    asked = [await receive()]
    held_bytes = len(asked[-1].get("body", b""))
    while asked[-1].get("more_body") and held_bytes < HELD_BYTES_MAX:
        asked.append(await receive())
        held_bytes += len(asked[-1].get("body", b""))
    return asked
