"""The process of the HTTP API: it answers on a bound socket until SIGTERM or Ctrl-C, and ends in time whatever still hangs.

What is asked when it is told to end is answered for some seconds; then who still waits is told to ask again. Threads that a
storage keeps hanging are left: nothing of theirs needs an orderly end.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from pathlib import Path
from types import FrameType

import anyio.to_thread
import uvicorn
from starlette.types import ASGIApp

from api.app import create_app
from api.connection import Connection
from api.limits import AT_ONCE, LONGEST_HEADERS_BYTES
from api.process_log import begin_log
from api.proxies import Proxies
from api.stopping import GRACE_SECONDS, Stopping
from holdfast.errors import SettingsError
from holdfast.settings import Settings, load_settings
from orchestration.api_certificate import ApiCertificate
from orchestration.api_exposure import told_of_access
from orchestration.masking import hide_all_of

_IDLE_SECONDS = 30
_THREADS = 2 * AT_ONCE  # of a request that was cut the thread may hang on
_TICKS_BETWEEN_LOOKS = 100  # uvicorn ticks ten times a second

_log = logging.getLogger("holdfast.api")


def run(listening: socket.socket, log: Path | None = None) -> None:
    """Answer on a bound socket until told to end, then end the process with exit code 0. Raises SettingsError.

    It logs on stderr, or into a file of its own.
    """
    settings = load_settings()
    begin_log(log)
    hide_all_of(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _already_ending)  # uvicorn raises once more what has ended it
    _log.info("%s", told_of_access(settings))
    app = create_app()
    ServerOfProcess(configured(app, settings), app.state.stopping, ApiCertificate.of(settings)).run(sockets=[listening])


def configured(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """Return how uvicorn serves the application on this host. Raises SettingsError where the certificate can't be shown."""
    certificate = ApiCertificate.of(settings)
    context = certificate and certificate.context()
    return uvicorn.Config(
        Proxies(app, settings.api_trusted_proxies, settings.api_root_path),
        http=Connection,
        ws="none",
        lifespan="off",
        proxy_headers=False,  # ours does that, and believes nobody but those that are named
        server_header=False,
        log_config=None,
        access_log=False,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=round(GRACE_SECONDS) + 2,
        h11_max_incomplete_event_size=LONGEST_HEADERS_BYTES,
        ssl_context_factory=(lambda *_: context) if context else None,
    )


class Server(uvicorn.Server):
    """uvicorn's server, which tells the application when it is to end, and has room for requests whose threads hang."""

    def __init__(self, config: uvicorn.Config, stopping: Stopping) -> None:
        super().__init__(config)
        self._stopping = stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what was asked, and end."""
        self._stopping.begin()
        await super().shutdown(sockets)


class ServerOfProcess(Server):
    """The one server of its process, which ends with it; it shows a renewed certificate without being started anew."""

    def __init__(self, config: uvicorn.Config, stopping: Stopping, certificate: ApiCertificate | None) -> None:
        super().__init__(config, stopping)
        self._certificate = certificate
        self._shown = certificate and certificate.mark()

    async def on_tick(self, counter: int) -> bool:
        """Look once in a while whether the certificate was renewed."""
        if self._certificate is not None and counter % _TICKS_BETWEEN_LOOKS == 0:
            self._renew(self._certificate)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the process, though Python would wait for threads that a storage keeps hanging."""
        await super().shutdown(sockets)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)

    def _renew(self, certificate: ApiCertificate) -> None:
        mark = certificate.mark()
        if not mark or mark == self._shown or self.config.ssl is None:
            return
        self._shown = mark
        try:
            certificate.load_into(self.config.ssl)
        except SettingsError as error:
            _log.error("the renewed certificate is not shown, the former one is: %s", error)
        else:
            _log.info("the certificate was renewed, and is shown from now on")


def _already_ending(number: int, frame: FrameType | None) -> None:
    """Do nothing: uvicorn has heard the signal, and raises it once more when it has ended."""
