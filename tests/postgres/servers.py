"""Servers and databases that come and go with a test."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

from holdfast.postgres.connection import DatabaseUrl, connect_to_server, quote_identifier
from holdfast.postgres.embedded import EmbeddedServer


@contextmanager
def server_folder() -> Iterator[Path]:
    """Lend a folder that the server's user can enter at any time.

    Not pytest's: each pytest that starts closes the folder above all of them to other users, and as root the server is one.
    """
    with tempfile.TemporaryDirectory(prefix="holdfast-test-") as folder:
        yield Path(folder)


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
