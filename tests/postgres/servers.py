"""Servers and databases that come and go with a test.

They lie in memory where there is enough of it: a database waits for the disk at every commit, and tests at once wait for long.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

import psutil

from holdfast.postgres.connection import DatabaseUrl, connect_to_server, quote_identifier
from holdfast.postgres.embedded import EmbeddedServer

_MEMORY = Path("/dev/shm")
_ENOUGH_BYTES = 6 << 30


@contextmanager
def server_folder(*, on_disk: bool = False) -> Iterator[Path]:
    """Lend a folder that the server's user can enter at any time; `on_disk` for what may not lie below `/dev`, as Deno's files.

    Not pytest's: each pytest that starts closes the folder above all of them to other users, and as root the server is one.
    """
    place = _MEMORY if not on_disk and _has_room() else None
    with tempfile.TemporaryDirectory(prefix="holdfast-test-", dir=place) as folder:
        yield Path(folder)


def _has_room() -> bool:
    """Tell whether all servers of a test run fit into memory, beside all that runs."""
    return _MEMORY.is_dir() and min(shutil.disk_usage(_MEMORY).free, psutil.virtual_memory().available) > _ENOUGH_BYTES


@contextmanager
def running_server(version: Literal[16, 18]) -> Iterator[EmbeddedServer]:
    """Run a server for as long as the context lasts."""
    with server_folder() as folder:
        embedded = EmbeddedServer(folder / "data", version=version)
        embedded.start()
        try:
            yield embedded
        finally:
            embedded.stop()


def drop_database(url: DatabaseUrl) -> None:
    """Drop a database and whoever is still in it."""
    with closing(connect_to_server(url)) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {quote_identifier(url.database)} WITH (FORCE)")
