"""S3 as moto makes it, on a free port of loopback, all in memory.

moto looks and then writes: of two conditional puts at once both could win, and a read beside a write may fail. On S3 neither can,
so requests are answered one at a time here, each when all of it has come.
"""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Callable, Iterable

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from tests.storage.emulators import lifeline


class OneAtATime:
    """Lets the application answer one request at a time."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, object], start_response: Callable[..., object]) -> Iterable[bytes]:
        if length := int(str(environ.get("CONTENT_LENGTH") or 0)):
            environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(length))  # type: ignore[attr-defined]
        with self._lock:
            return list(self._application(environ, start_response))


def main() -> None:
    lifeline.hold()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    application = OneAtATime(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=MotoRequestHandler)
    print(f"listens on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
