"""A connection of a client: it has to say in time what it wants, there are so many at most, and what is no HTTP is told so."""

from __future__ import annotations

import asyncio
import sys
from http import HTTPStatus

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.headers import safe_headers
from api.problems import problem
from api.request_record import begin_record
from holdfast.errors import RequestInvalidError, RequestTooLargeError

HEADERS_SECONDS = 15.0
CONNECTIONS = 500
_LINGER_SECONDS = 0.5


class Connection(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, with an end to waiting for somebody who connects and says nothing."""

    headers_seconds = HEADERS_SECONDS
    _patience: asyncio.TimerHandle | None = None
    _lingers = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a client on, unless too many are there."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            transport.abort()
            return
        self._patience = self.loop.call_later(self.headers_seconds, self._give_up)

    def data_received(self, data: bytes) -> None:
        """Take what a client sends; the time for the headers of its next request begins with their first byte."""
        if self._lingers:
            return
        waits = self._patience is not None
        if not waits and self.conn.their_state is h11.IDLE:
            self._patience = self.loop.call_later(self.headers_seconds, self._give_up)
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._have_patience()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a client."""
        self._have_patience()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP. uvicorn calls this where h11 has refused it, whose error says which status fits."""
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.close()  # an answer is on its way already, and can't be mended
            return
        error = sys.exc_info()[1]
        status = HTTPStatus(getattr(error, "error_status_hint", HTTPStatus.BAD_REQUEST))
        self._answer_and_close(msg, status)

    def _answer_and_close(self, what: str, status: HTTPStatus) -> None:
        record = begin_record(self.client[0] if self.client else "unknown")
        long = status == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        error = RequestTooLargeError("the headers of the request are too long") if long else RequestInvalidError(what.rstrip("."))
        answer = problem(error, status)
        added = {"connection": "close", "request-id": record.id} | safe_headers(secure=self.scheme == "https")
        headers = [*answer.raw_headers, *((name.lower().encode(), value.encode()) for name, value in added.items())]
        response = h11.Response(status_code=status, headers=headers, reason=status.phrase.encode())
        for event in (response, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        if long:  # who still sends when we close is told of a broken connection, and not why
            self._lingers = True
            self.loop.call_later(_LINGER_SECONDS, self.transport.close)
        else:
            self.transport.close()

    def _give_up(self) -> None:
        self._patience = None
        if not self.transport.is_closing():
            self.transport.abort()

    def _have_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
