"""`python -m examples.content_pipeline.server start|stop|kill|check FOLDER`: the sample's database server as a service has it.

These are the commands that a managed service of Holdfast runs for it. The server listens on a Unix socket in its folder only.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import psutil

from holdfast.errors import DatabaseUnreachableError, HoldfastError
from holdfast.postgres.connection import connect
from holdfast.postgres.embedded import EmbeddedServer

_KILL_SECONDS = 10


def main(arguments: list[str] | None = None) -> int:
    """Do what the arguments ask; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m examples.content_pipeline.server", description=__doc__)
    parser.add_argument("action", choices=sorted(_ACTIONS))
    parser.add_argument("folder", type=Path, help="the server's data folder, which must be there")
    options = parser.parse_args(arguments)
    try:
        _ACTIONS[options.action](existing(options.folder))
    except HoldfastError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    return 0


def existing(folder: Path) -> EmbeddedServer:
    """Name the server of a data folder that is there, so that a slip makes no empty one. Raises DatabaseUnreachableError."""
    if not (folder / "PG_VERSION").exists():
        raise DatabaseUnreachableError(f"{folder} is no data folder of PostgreSQL")
    return EmbeddedServer(folder)


def kill(server: EmbeddedServer) -> int:
    """Kill all of the server's processes at once, as a machine that loses its power would; return how many there were."""
    found = processes(server.data_dir)
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(found, _KILL_SECONDS)
    return len(found)


def check(server: EmbeddedServer) -> None:
    """Require that the server lets somebody in. Raises DatabaseUnreachableError."""
    with closing(connect(server.url())) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def processes(data_dir: Path) -> list[psutil.Process]:
    """Find the server of a data folder and its children, the server first; none where it does not run."""
    with suppress(OSError, ValueError, IndexError, psutil.Error):
        server = psutil.Process(int((data_dir / "postmaster.pid").read_text().splitlines()[0]))
        if str(data_dir) in server.cmdline():  # else another process has got the number of a dead server
            return [server, *server.children(recursive=True)]
    return []


_ACTIONS: dict[str, Callable[[EmbeddedServer], object]] = {
    "start": EmbeddedServer.start,
    "stop": EmbeddedServer.stop,
    "kill": kill,
    "check": check,
}

if __name__ == "__main__":
    sys.exit(main())
