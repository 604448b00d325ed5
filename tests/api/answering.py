"""An API that answers for real, on a port of this machine; each answer has to be as the OpenAPI document says."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn

from api.app import create_app
from api.parts import Parts
from tests.api.documented import require_documented


@contextmanager
def answering(parts: Parts, token: str | None = None) -> Iterator[httpx.Client]:
    """Have the API answer inside the block; yield a client that shows this token."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        server = uvicorn.Server(uvicorn.Config(create_app(parts), log_level="warning", access_log=False))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        host, port = listening.getsockname()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            hooks: dict[str, list[Any]] = {"response": [require_documented]}
            client = httpx.Client(
                base_url=f"http://{host}:{port}", timeout=20, trust_env=False, headers=headers, event_hooks=hooks
            )
            with client:
                yield client
        finally:
            server.should_exit = True
            thread.join()
