"""S3 as moto makes it, on a free port of loopback, all in memory."""

from __future__ import annotations

import logging
import time

from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from tests.storage.emulators import lifeline


def main() -> None:
    lifeline.hold()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    print(f"listens on http://{host}:{port}", flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
