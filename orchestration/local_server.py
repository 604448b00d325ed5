"""One home's own Prefect server: started once, found again, stopped.

What it needs lies in the home (`prefect/` its database, `logs/` its log), its port is free or asked for, and nothing of it
depends on the process that started it. All changes are made under the home's lock. This module never imports Prefect.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from holdfast.errors import PrefectUnreachableError, SettingsError
from orchestration.block_types import note_registered, settings_of_start
from orchestration.prefect_process import is_alive

START_SECONDS = 120
STOP_SECONDS = 15
_HOST = "127.0.0.1"
_LOG_LINES = 15
_TOKENS = ("PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED", "PREFECT_SERVER_CSRF_PROTECTION_ENABLED")
"""By what Prefect's server is told to ask for CSRF tokens."""
_ANSWER_SECONDS = 5
_LEASES = "prefect.server.concurrency.lease_storage.filesystem"


class LocalServer:
    """The Prefect server of one home."""

    def __init__(self, home: Path) -> None:
        self.folder = home.absolute() / "prefect"
        self._state = self.folder / "server.json"
        self.log = home.absolute() / "logs" / "prefect-server.log"

    @property
    def url(self) -> str | None:
        """The API's address while the server's process lives, whether or not it answers already."""
        record = self._record()
        return str(record["url"]) if record else None

    def start(self, port: int | None = None) -> str:
        """Have the server up and answering, and return its API's address; `port` moves one that has another.

        Raises PrefectUnreachableError with the log's last lines, SettingsError when the port is taken.
        """
        if port is None and (url := self.url) and answers(url):
            return url
        with self._locked() as lock:
            if port is not None and self.url not in (None, _url(port)):
                self._stop()
            if (url := self.url) is not None:
                self._wait(url)
                return url
            url = self._launch(lock, port)
            self._wait(url)
            note_registered(self.folder, os.environ)
        return url

    def stop(self) -> bool:
        """End the server; tell whether there was one."""
        if not self.folder.exists():
            return False
        with self._locked():
            return self._stop()

    def environment(self, url: str) -> dict[str, str]:
        """Return what leads Prefect in any process of this home to this server, and keeps it from calling anybody else."""
        tokens = next((os.environ[name] for name in _TOKENS if name in os.environ), "false")
        without_proxy = ",".join(dict.fromkeys(filter(None, [*os.environ.get("NO_PROXY", "").split(","), _HOST])))
        return {
            "PREFECT_HOME": str(self.folder),
            "PREFECT_API_URL": url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": tokens,  # each client would ask for one first, to hear that none is wanted
            "NO_PROXY": without_proxy,
            "no_proxy": without_proxy,
            "PREFECT_LOGGING_EXTRA_LOGGERS": "holdfast,orchestration",
            "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",  # what our threads log belongs to no task
        }

    def _record(self) -> dict[str, Any] | None:
        try:
            record = json.loads(self._state.read_text())
            return record if is_alive(record) else None
        except (OSError, ValueError, KeyError, TypeError):  # none, or not one of ours
            return None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        """Hold the home's lock, and yield its file descriptor."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.folder / "server.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield lock.fileno()

    def _launch(self, lock: int, port: int | None) -> str:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))
        with bound(port, "The Prefect server") as listening, self.log.open("wb") as log:
            url = _url(listening.getsockname()[1])
            arguments = [str(self._state), url, str(listening.fileno())]
            done = subprocess.run(
                [sys.executable, "-P", "-m", "orchestration.prefect_process", *arguments],
                cwd=self.folder,
                env=self._server_environment(url),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(listening.fileno(), lock),
                check=False,
            )
        if done.returncode != 0:
            raise self._did_not_start("its process could not be started")
        return url

    def _server_environment(self, url: str) -> dict[str, str]:
        """The server needs none of our settings, so it gets none of our secrets."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("BACKUP_", "HOLDFAST_", "PG"))}
        chosen = {
            "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
            "PREFECT_SERVER_ENCRYPTION_KEY": self._block_key(),
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": _LEASES,  # in memory, a restart would end the runs that hold one
        }
        of_start = settings_of_start(self.folder, inherited)
        return chosen | inherited | of_start | {"PREFECT_UI_API_URL": url} | self.environment(url)

    def _block_key(self) -> str:
        """The key that Prefect encrypts blocks with: beside its database, not in it."""
        path = self.folder / "encryption.key"
        if not path.exists():
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(urlsafe_b64encode(secrets.token_bytes(32)).decode())
        return path.read_text()

    def _wait(self, url: str) -> None:
        end = time.monotonic() + START_SECONDS
        while not answers(url):
            if self.url != url:
                raise self._did_not_start("its process ended")
            if time.monotonic() > end:
                raise self._did_not_start(f"it did not answer at {url} within {START_SECONDS} seconds")
            time.sleep(0.1)

    def _did_not_start(self, what: str) -> PrefectUnreachableError:
        said = last_lines(self.log)
        return PrefectUnreachableError(
            "The local Prefect server did not start",
            reason=f"{what}; the last lines of its log:\n{said}" if said else what,
            next_step=f"The whole log is {self.log}",
        )

    def _stop(self) -> bool:
        record = self._record()
        if record is not None:
            end_process(psutil.Process(int(record["pid"])), STOP_SECONDS)
        self._state.unlink(missing_ok=True)
        return record is not None


def answers(url: str) -> bool:
    """Tell whether a Prefect API answers at this address; one that wants a password does."""
    if not url.startswith(("http://", "https://")):
        return False
    try:
        with opener_to(url).open(f"{url.rstrip('/')}/health", timeout=_ANSWER_SECONDS) as response:
            return bool(response.status < 500)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code < 500
    except (OSError, ValueError):
        return False


def opener_to(url: str) -> urllib.request.OpenerDirector:
    """Return what opens an address: no proxy stands between us and our own host."""
    proxies: dict[str, str] | None = {} if f"//{_HOST}:" in url else None
    return urllib.request.build_opener(urllib.request.ProxyHandler(proxies))


def end_process(process: psutil.Process, seconds: float) -> None:
    """Ask a process to end, and kill it when it has not ended in time."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.terminate()
        with contextlib.suppress(psutil.TimeoutExpired):
            _wait_gone(process, seconds)
            return
        process.kill()
        _wait_gone(process, seconds)


def _wait_gone(process: psutil.Process, seconds: float) -> None:
    """Wait for the end of any process; one that only its parent has not buried yet has ended."""
    end = time.monotonic() + seconds
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > end:
            raise psutil.TimeoutExpired(seconds, process.pid)
        time.sleep(0.05)


def last_lines(log: Path) -> str:
    """Return the end of a log, for an error that has to say what happened there."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
    except OSError:
        return ""


def _url(port: int) -> str:
    return f"http://{_HOST}:{port}/api"


def bound(port: int | None, who: str, family: socket.AddressFamily = socket.AF_INET, host: str = _HOST) -> socket.socket:
    """Bind a port, of this machine alone and any free one unless told; it is not listened on before the server answers.

    Raises SettingsError where it is taken, saying who can't have it.
    """
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        if port is not None:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))  # "::" is all there is, IPv4 too
        listening.bind((host, port or 0))
        return listening
    except OSError as error:
        listening.close()
        place = f"port {port}" if host == _HOST else f"port {port or 0} at {host}"
        raise SettingsError(f"{who} can't have {place}", reason=str(error), next_step="Choose another, or none") from error
