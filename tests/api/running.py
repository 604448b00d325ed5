"""An API that is served as `holdfast api` serves it: with its limits on connections, its TLS and proxies, until told to end."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.types import ASGIApp

from api.app import create_app
from api.connection import Connection
from api.parts import Parts
from api.server import Server, configured
from api.stopping import Stopping
from holdfast.settings import Settings
from orchestration.api_process import listening_at, url_of


@dataclass
class Running:
    """One that answers at `url`."""

    url: str
    server: Server
    address: tuple[str, int]
    thread: threading.Thread
    clients: list[httpx.Client] = field(default_factory=list)

    def client(self, token: str | None = None, **more: Any) -> httpx.Client:
        """Return a client that shows this token."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        made = httpx.Client(base_url=self.url, timeout=20, trust_env=False, headers=headers, **more)
        self.clients.append(made)
        return made

    def said(self, raw: bytes, *, seconds: float = 10) -> bytes:
        """Send bytes by a connection of their own, and return all that comes back until the API closes it."""
        with socket.create_connection(self.address, timeout=seconds) as connection:
            connection.sendall(raw)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def end(self) -> None:
        """Tell it to end, and wait until it has."""
        self.server.should_exit = True
        self.thread.join()


@contextmanager
def running(
    settings: Settings,
    app: ASGIApp | None = None,
    stopping: Stopping | None = None,
    speaks: type[Connection] = Connection,
) -> Iterator[Running]:
    """Serve the API, or another application in its place, inside the block."""
    made = create_app(Parts(lambda: settings))
    config = configured(app or made, settings)
    config.http = speaks
    with closing(listening_at(settings)) as listening:
        listening.listen()
        server = Server(config, stopping or made.state.stopping)
        thread = threading.Thread(target=server.run, args=([listening],))
        one = Running(url_of(listening, settings), server, listening.getsockname()[:2], thread)
        thread.start()
        try:
            yield one
        finally:
            for client in one.clients:
                client.close()
            one.end()
