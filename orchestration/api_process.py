"""The HTTP API as a process of its own beside the Prefect server: a storage that hangs then hinders nobody but itself.

It gets a bound socket, so that its port is its own from the first moment on.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from holdfast.errors import WorkFailedError
from orchestration.declared import ROOT
from orchestration.local_server import bound, end_process, last_lines, opener_to

_ENDS_SECONDS = 10
_START_SECONDS = 60
_LOOK_SECONDS = 0.2


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
        try:
            with opener_to(self.url).open(f"{self.url}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@contextmanager
def api_beside(port: int | None, log: Path, environment: dict[str, str]) -> Iterator[ApiProcess]:
    """Run the API inside the block; a free port unless one is given. Raises SettingsError where that is taken."""
    with bound(port, "The HTTP API") as listening, log.open("wb") as written:
        host, number = listening.getsockname()
        process = subprocess.Popen(
            [sys.executable, "-m", "api", str(listening.fileno())],
            cwd=ROOT,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            pass_fds=(listening.fileno(),),
            start_new_session=True,
        )
    try:
        yield ApiProcess(f"http://{host}:{number}", process, log)
    finally:
        if process.poll() is None:
            end_process(psutil.Process(process.pid), _ENDS_SECONDS)
        process.wait()
