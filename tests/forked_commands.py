"""Runs of `holdfast` that begin with everything imported: a process that has done nothing but import is forked for each.

A command is a process of its own all the same, with its own arguments, environment, folder, pipes, signals and exit code; it is
spared the seconds of CPU that importing Prefect and all the rest takes. Tests of starting up, of signals and of terminals run
`holdfast` itself.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

_ROOT = Path(__file__).parents[1]
_LENGTH = 8
_USED_LATER = (
    "alembic.command",
    "boto3.session",
    "botocore.session",
    "google.cloud.storage",
    "prefect.events.clients",
    "prefect.flow_engine",
    "prefect.task_engine",
    "prefect_aws",
    "prefect_azure",
    "prefect_gcp",
    "rich.live",
    "rich.table",
    "sqlalchemy.dialects.postgresql.psycopg2",
    "typer.rich_utils",
)


class ForkedCommands:
    """The process that is forked, of this test session. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._asking: socket.socket | None = None

    def run(
        self, arguments: list[str], cwd: Path, environment: dict[str, str], stdin: str, seconds: float
    ) -> tuple[int, str, str]:
        """Run a command to its end; return its exit code, and what it wrote on stdout and stderr. Raises TimeoutError."""
        with contextlib.ExitStack() as held, ThreadPoolExecutor(3) as pool:
            heard, told = held.enter_context(_pair())
            (its_input, our_input), (our_output, its_output), (our_errors, its_errors) = os.pipe(), os.pipe(), os.pipe()
            try:
                self._ask(told, its_input, its_output, its_errors)
            finally:
                for one in (its_input, its_output, its_errors):
                    os.close(one)
                told.close()
            written = pool.submit(_read, our_output), pool.submit(_read, our_errors)
            pool.submit(_write, our_input, stdin.encode())
            heard.settimeout(seconds)
            _send(heard, {"arguments": arguments, "cwd": str(cwd), "environment": environment})
            pid = _receive(heard)
            try:
                code = _receive(heard)
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise
            return code, written[0].result().decode(), written[1].result().decode()

    def _ask(self, *sockets: socket.socket | int) -> None:
        numbers = [one if isinstance(one, int) else one.fileno() for one in sockets]
        with self._lock:
            if self._process is None or self._asking is None or self._process.poll() is not None:
                self._asking = self._start()
            socket.send_fds(self._asking, [b"run"], numbers)

    def _start(self) -> socket.socket:
        asking, asked = socket.socketpair()
        with asked:
            command = [sys.executable, "-m", "tests.forked_commands", str(asked.fileno())]
            self._process = subprocess.Popen(command, pass_fds=(asked.fileno(),), cwd=_ROOT, env=_bare())
        atexit.register(self._end)
        return asking

    def _end(self) -> None:
        if self._asking is not None and self._process is not None:
            self._asking.close()
            self._process.wait(10)


COMMANDS = ForkedCommands()
"""The one of this process of tests, whatever they are of: it takes seconds to begin."""


@contextlib.contextmanager
def _pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def _bare() -> dict[str, str]:
    """An environment that says nothing of Holdfast or Prefect: that is what each command brings itself."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("BACKUP_", "HOLDFAST_", "PREFECT_", "PG"))}


def _read(fd: int) -> bytes:
    with os.fdopen(fd, "rb") as stream:
        return stream.read()


def _write(fd: int, what: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), os.fdopen(fd, "wb") as stream:
        stream.write(what)


def _send(connection: socket.socket, said: Any) -> None:
    message = json.dumps(said).encode()
    connection.sendall(len(message).to_bytes(_LENGTH, "big") + message)


def _receive(connection: socket.socket) -> Any:
    return json.loads(_exactly(connection, int.from_bytes(_exactly(connection, _LENGTH), "big")))


def _exactly(connection: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size:
        part = connection.recv(size - len(got))
        if not part:
            raise EOFError("the process that is forked has ended")
        got += part
    return got


# What follows is the process that is forked.


def fork_for_each(asked: socket.socket) -> None:
    """Fork for each command that is asked for, and tell how it ended, until nobody asks any more."""
    _import_everything()
    running: dict[int, socket.socket] = {}
    with _pair() as (woken, wake), selectors.DefaultSelector() as chosen:
        for one in (woken, wake):
            one.setblocking(False)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        chosen.register(asked, selectors.EVENT_READ)
        chosen.register(woken, selectors.EVENT_READ)
        while True:
            for key, _ in chosen.select():
                if key.fileobj is woken:
                    with contextlib.suppress(BlockingIOError):
                        woken.recv(4096)
                    _tell_ended(running)
                    continue
                _, numbers, _, _ = socket.recv_fds(asked, 16, 4)
                if not numbers:
                    return
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for one in (asked, woken, wake, *running.values()):
                        one.close()
                    chosen.close()
                    _become(*numbers)
                running[pid] = socket.socket(fileno=numbers[0])
                _send(running[pid], pid)
                for number in numbers[1:]:
                    os.close(number)


def _import_everything() -> None:
    """Import all modules of ours with what they use, and what Prefect and others import only when it is used."""
    for package in ("sql", "holdfast", "blocks", "orchestration", "flows", "cli"):
        for module in pkgutil.walk_packages([str(_ROOT / package)], f"{package}."):
            if not module.name.endswith("__main__") and ".revisions" not in module.name:
                importlib.import_module(module.name)
    for name in _USED_LATER:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def _tell_ended(running: dict[int, socket.socket]) -> None:
    for pid in list(running):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            with contextlib.suppress(OSError):  # who asked has gone
                _send(running[pid], os.waitstatus_to_exitcode(status))
            running.pop(pid).close()


def _become(asked: int, *standard: int) -> NoReturn:
    """Be the command that is asked for, in this process."""
    with socket.socket(fileno=asked) as connection:
        said = _receive(connection)
    for number, one in enumerate(standard):
        os.dup2(one, number)
        os.close(one)
    os.chdir(said["cwd"])
    os.environ.clear()
    os.environ.update(said["environment"])
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  they last as long as the process
    sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.argv = ["holdfast", *said["arguments"]]
    import prefect.context

    prefect.context.refresh_global_settings_context()
    from cli.main import main

    main()
    sys.exit()


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as given:
        fork_for_each(given)
