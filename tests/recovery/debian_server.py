"""A server of Debian's PostgreSQL, which has what the wheel's lacks: amcheck. `.ci/run` installs it."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from holdfast.postgres.connection import DatabaseUrl
from tests.postgres.servers import server_folder

_PORT = 5432


@dataclass(frozen=True, slots=True)
class DebianServer:
    """A server that listens on a socket only."""

    programs: Path
    folder: Path

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def url(self) -> DatabaseUrl:
        return DatabaseUrl("postgres", host=str(self.folder), port=_PORT, user="postgres")

    def start(self) -> None:
        options = f"-c listen_addresses='' -c unix_socket_directories='{self.folder}' -c port={_PORT} -c fsync=off"
        self.run("pg_ctl", "-w", "-s", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-w", "-s", "-m", "fast", "stop")

    def run(self, program: str, *arguments: str) -> None:
        """Run a program of the server's, as the user that may."""
        command = [str(self.programs / program), "-D", str(self.data_dir), *arguments]
        user = "postgres" if os.geteuid() == 0 else None
        done = subprocess.run(command, user=user, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@contextmanager
def debian_server() -> Iterator[DebianServer]:
    """Run one, with checksums, for as long as the context lasts."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
    assert versions, "This test needs Debian's PostgreSQL: apt-get install postgresql"
    with server_folder() as folder:
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
        server = DebianServer(versions[-1].parent, folder)
        server.run("initdb", "-k", "-N", "-U", "postgres", "-A", "trust")
        server.start()
        try:
            yield server
        finally:
            server.stop()
