"""A server of Debian's PostgreSQL, which has what the wheel's lacks: amcheck. `.ci/run` installs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.system_server import SystemServer, newest_programs
from tests.postgres.servers import server_folder


@contextmanager
def debian_server() -> Iterator[SystemServer]:
    """Run one, with checksums, for as long as the context lasts."""
    programs = newest_programs()
    assert programs, "This test needs Debian's PostgreSQL: apt-get install postgresql"
    with server_folder() as folder:
        server = SystemServer(folder, programs, initdb=["-k"], settings={"fsync": "off"})
        server.start()
        try:
            yield server
        finally:
            server.stop()
