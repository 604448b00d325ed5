"""The HTTP API as a process of its own beside the Prefect server: a storage that hangs then hinders nobody but itself.

It gets a bound socket, so that its port is its own from the first moment on.
"""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from holdfast.errors import WorkFailedError
from orchestration.api_certificate import ApiCertificate
from orchestration.api_exposure import addresses_of
from orchestration.declared import ROOT
from orchestration.local_server import bound, end_process, last_lines

if TYPE_CHECKING:
    from holdfast.settings import Settings

_ENDS_SECONDS = 10
_START_SECONDS = 60
_LOOK_SECONDS = 0.2
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  it is looked for here, and nothing is bound


@dataclass(frozen=True, slots=True)
class ApiProcess:
    """The API that answers at `url`."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def require_alive(self) -> None:
        """Raise WorkFailedError with the log's last lines where it has ended by itself."""
        if self.process.poll() is not None:
            raise WorkFailedError(
                f"The HTTP API ended by itself with exit code {self.process.returncode}", reason=last_lines(self.log)
            )

    def wait_until_it_answers(self, asked_to_stop: threading.Event) -> bool:
        """Tell whether it answers, or we were asked to stop before. Raises WorkFailedError."""
        end = time.monotonic() + _START_SECONDS
        while not self._answers():
            self.require_alive()
            if time.monotonic() > end:
                raise WorkFailedError(f"The HTTP API did not answer at {self.url}", reason=last_lines(self.log))
            if asked_to_stop.wait(_LOOK_SECONDS):
                return False
        return True

    def _answers(self) -> bool:
        """Ask it itself: by no proxy, and whatever names its certificate is for."""
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusting))
        here = self.url
        for everywhere, this_machine in _EVERYWHERE.items():
            here = here.replace(f"//{everywhere}:", f"//{this_machine}:").replace(f"//[{everywhere}]:", f"//{this_machine}:")
        try:
            with opener.open(f"{here}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def listening_at(settings: Settings) -> socket.socket:
    """Bind the address and port of the settings, any free port where they name none. Raises SettingsError where it is taken."""
    family, address = addresses_of(settings.api_host)[0]
    return bound(settings.api_port, "The HTTP API", family, address)


def url_of(listening: socket.socket, settings: Settings) -> str:
    """Return the address that the API answers at on this host; what a proxy makes of it is not known here."""
    scheme = "https" if ApiCertificate.of(settings) else "http"
    host, port = listening.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


@contextmanager
def api_beside(settings: Settings, log: Path, environment: dict[str, str]) -> Iterator[ApiProcess]:
    """Run the API inside the block. Raises SettingsError where its port is taken."""
    with listening_at(settings) as listening, log.open("wb") as written:
        url = url_of(listening, settings)
        process = subprocess.Popen(
            [sys.executable, "-m", "api", str(listening.fileno()), str(log.absolute())],
            cwd=ROOT,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            pass_fds=(listening.fileno(),),
            start_new_session=True,
        )
    try:
        yield ApiProcess(url, process, log)
    finally:
        if process.poll() is None:
            end_process(psutil.Process(process.pid), _ENDS_SECONDS)
        process.wait()
