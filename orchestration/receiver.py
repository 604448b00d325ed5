"""A receiver of messages on this machine alone, for as long as a block lasts: its address is one that nobody can guess."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where it listens, and what it was sent, each with its time."""

    url: str
    messages: list[tuple[datetime, str]] = field(default_factory=list)


@contextmanager
def listening() -> Iterator[Receiver]:
    """Listen for what is posted."""
    path = f"/{secrets.token_urlsafe(16)}"

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            known = self.path == path
            if known:
                receiver.messages.append((datetime.now(UTC), body.decode(errors="replace")))
            self.send_response(204 if known else 404)
            self.end_headers()

        def log_message(self, *args: object) -> None: ...

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        receiver = Receiver(f"http://{LOOPBACK}:{server.server_port}{path}")
        serving = threading.Thread(target=server.serve_forever, args=(0.1,), name="holdfast-receiver", daemon=True)
        serving.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            serving.join()
