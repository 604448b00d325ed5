"""`holdfast serve`: the Prefect server, a worker, the deployments and the HTTP API, until SIGTERM or SIGINT.

Whatever began here has ended when `run` returns. The order of stopping is the point: first the flow runs, so that each closes
its job as cancelled, then the worker, then the server that both report to.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from types import FrameType
from typing import TYPE_CHECKING

import psutil

from holdfast.errors import PrefectUnreachableError, WorkFailedError
from orchestration.api_exposure import told_of_access
from orchestration.api_process import ApiProcess, api_beside
from orchestration.local_server import LocalServer, answers, last_lines
from orchestration.serve_record import end_with_runs, serving_alone
from orchestration.server import given_address, use

if TYPE_CHECKING:
    from holdfast.settings import Settings

_LOOK_SECONDS = 1.0


class Serving:
    """One run of `holdfast serve` for one home."""

    def __init__(self, settings: Settings, prefect_port: int | None = None) -> None:
        self._settings = settings
        self._port = prefect_port
        self._server = LocalServer(settings.home)
        self._logs = settings.home.absolute() / "logs"
        self._asked_to_stop = threading.Event()
        # Never the name of an earlier worker: in a container each of them has the same process id.
        self._worker_name = f"holdfast-{socket.gethostname()}-{secrets.token_hex(3)}"

    def run(self) -> None:
        """Start everything, say `ready`, and stop everything when asked to. Raises BusyError where this home is being served."""
        with _signals(self._asked_to_stop), serving_alone(self._settings.home) as started, contextlib.ExitStack() as running:
            running.enter_context(self._embedded_postgres())
            url = running.enter_context(self._prefect())
            if self._asked_to_stop.is_set():
                return
            self._deploy()
            worker = running.enter_context(self._worker())
            started(worker.pid)
            api = running.enter_context(self._api())
            started(api.process.pid)
            if not (self._until_worker_is_online(worker) and api.wait_until_it_answers(self._asked_to_stop)):
                return
            sys.stdout.write(f"ready prefect={url.removesuffix('/api')} api={api.url}\n{told_of_access(self._settings)}\n")
            sys.stdout.flush()
            self._watch(worker, api, url)

    @contextlib.contextmanager
    def _embedded_postgres(self) -> Iterator[None]:
        """Stop the embedded PostgreSQL at the end where it was started meanwhile, by a flow that needed it."""
        from holdfast.opening import embedded_server

        server = embedded_server(self._settings)
        was_running = server.is_running()
        try:
            yield
        finally:
            if not was_running and server.is_running():
                server.stop()

    @contextlib.contextmanager
    def _prefect(self) -> Iterator[str]:
        given = given_address()
        if given is not None:
            if not answers(given):
                raise PrefectUnreachableError(f"No Prefect server answers at {given}", reason="PREFECT_API_URL names it")
            yield given
            return
        try:
            url = self._server.start(self._port)
            use(self._server, url)
            yield url
        finally:
            self._server.stop()

    def _deploy(self) -> None:
        from blocks.saving import register_and_save
        from orchestration.deployments import deploy
        from orchestration.job import in_force

        register_and_save(self._settings)
        deploy(in_force(self._settings))

    @contextlib.contextmanager
    def _worker(self) -> Iterator[subprocess.Popen[bytes]]:
        from orchestration.work_pool import WORK_POOL

        command = [
            sys.executable,
            "-m",
            "prefect",
            "worker",
            "start",
            "--pool",
            WORK_POOL,
            "--name",
            self._worker_name,
            "--type",
            "process",
        ]
        self._logs.mkdir(parents=True, exist_ok=True)
        with (self._logs / "worker.log").open("wb") as log:
            worker = subprocess.Popen(
                command,
                cwd=self._settings.home,
                env=os.environ | self._worker_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield worker
        finally:
            if worker.poll() is None:
                end_with_runs(psutil.Process(worker.pid))
            worker.wait()

    def _api(self) -> AbstractContextManager[ApiProcess]:
        return api_beside(self._settings, self._logs / "api.log", self._worker_environment())

    def _worker_environment(self) -> dict[str, str]:
        from holdfast.settings import WORKING_DIRECTORY, working_directory

        return {
            "HOLDFAST_HOME": str(self._settings.home.absolute()),
            WORKING_DIRECTORY: str(working_directory()),  # flows run elsewhere, and `.env` is here
            "PREFECT_WORKER_QUERY_SECONDS": "2",
        }

    def _until_worker_is_online(self, worker: subprocess.Popen[bytes]) -> bool:
        """Wait for the worker to be at work; tell whether it is, or we were asked to stop before."""
        from orchestration.work_pool import worker_is_online

        while not worker_is_online(self._worker_name):
            self._require_alive(worker)
            if self._asked_to_stop.wait(_LOOK_SECONDS / 2):
                return False
        return True

    def _watch(self, worker: subprocess.Popen[bytes], api: ApiProcess, url: str) -> None:
        while not self._asked_to_stop.wait(_LOOK_SECONDS):
            self._require_alive(worker)
            api.require_alive()
            if given_address() is None and self._server.url != url:
                raise WorkFailedError("The Prefect server ended by itself", reason=last_lines(self._server.log))

    def _require_alive(self, worker: subprocess.Popen[bytes]) -> None:
        if worker.poll() is not None:
            raise WorkFailedError(
                f"The Prefect worker ended by itself with exit code {worker.returncode}",
                reason=last_lines(self._logs / "worker.log"),
            )


@contextlib.contextmanager
def _signals(event: threading.Event) -> Iterator[None]:
    """Turn SIGTERM and SIGINT into an event. A second one changes nothing: stopping has its own time limits."""

    def asked(number: int, frame: FrameType | None) -> None:
        del number, frame
        event.set()

    before = {number: signal.signal(number, asked) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
