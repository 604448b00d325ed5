"""A server of the system's own PostgreSQL, as Debian packages it: versions and extensions that the embedded one has not."""

from __future__ import annotations

import os
import pwd
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path

from benchmarks.owner import as_owner
from holdfast.postgres.connection import connect_to_server, quote_identifier
from holdfast.postgres.url import DatabaseUrl

_USER = "postgres"
_PORT = 5432


class SystemServer:
    """One server, whose files lie below `folder`. It listens on a socket there only; under root, the packages' user runs it."""

    def __init__(
        self, folder: Path, programs: Path, *, initdb: Sequence[str] = (), settings: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.programs = programs
        self._initdb = tuple(initdb)
        self._settings = {
            "listen_addresses": "", "unix_socket_directories": str(folder), "port": str(_PORT), **(settings or {})
        }  # fmt: skip

    @property
    def data_dir(self) -> Path:
        """Where its files lie."""
        return self.folder / "data"

    @property
    def version(self) -> int:
        """Its major version."""
        return int(self.programs.parent.name)

    def start(self) -> None:
        """Make it where there is none, and start it."""
        if not self.data_dir.exists():
            self.folder.mkdir(exist_ok=True)
            if os.geteuid() == 0:
                user = pwd.getpwnam(_USER)
                os.chown(self.folder, user.pw_uid, user.pw_gid)
            self.run("initdb", "-N", "-U", _USER, "-A", "trust", *self._initdb)
            with (self.data_dir / "postgresql.conf").open("a") as written:
                written.writelines(f"{name} = '{value}'\n" for name, value in self._settings.items())
        self.run("pg_ctl", "-w", "-s", "-l", str(self.folder / "log"), "start")

    def stop(self) -> None:
        """Stop it."""
        self.run("pg_ctl", "-w", "-s", "-m", "fast", "stop")

    def url(self, database: str = "postgres") -> DatabaseUrl:
        """Name one of its databases."""
        return DatabaseUrl(database, host=str(self.folder), port=_PORT, user=_USER)

    def create_database(self, name: str) -> DatabaseUrl:
        """Make a database."""
        with closing(connect_to_server(self.url())) as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {quote_identifier(name)}")
        return self.url(name)

    def run(self, program: str, *arguments: str) -> None:
        """Run one of its programs. Raises RuntimeError with what it said."""
        command = as_owner(self.folder, [str(self.programs / program), "-D", str(self.data_dir), *arguments])
        done = subprocess.run(command, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{shlex.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")


def newest_programs(up_to: int | None = None) -> Path | None:
    """The folder of the newest such server's programs, up to a major version; none where there is no such, or not its user."""
    with suppress(KeyError):
        if os.geteuid() == 0:
            pwd.getpwnam(_USER)
        found = {int(path.parts[4]): path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")}
        known = [version for version in found if up_to is None or version <= up_to]
        return found[max(known)] if known else None
    return None
