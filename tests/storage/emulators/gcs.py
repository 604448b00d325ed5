"""Google Cloud Storage as gcp-storage-emulator makes it, on a free port of loopback, all in memory."""

from __future__ import annotations

import logging
from functools import partial
from http.server import ThreadingHTTPServer

from gcp_storage_emulator.server import RequestHandler
from gcp_storage_emulator.storage import Storage

from tests.storage.emulators import lifeline


def main() -> None:
    lifeline.hold()
    logging.disable(logging.ERROR)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(RequestHandler, Storage(use_memory_fs=True)))
    print(f"listens on http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
