"""How a session reads: as cheaply as it can, unless somebody has said how."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest

from holdfast.postgres.connection import DatabaseUrl, connect
from holdfast.postgres.embedded import EmbeddedServer
from holdfast.postgres.reading import reading_settings


@pytest.mark.parametrize(
    ("options", "expected"),
    [((), "0"), ((("options", "-c effective_io_concurrency=32"),), "32")],
    ids=["the server's default", "set by the user"],
)
def test_reads_are_handed_to_no_worker_where_nobody_has_said_how_to_read(
    database: DatabaseUrl, options: tuple[tuple[str, str], ...], expected: str
) -> None:
    assert concurrency(replace(database, options=options), 18) == expected


def test_an_older_server_is_read_as_it_always_was(old_server: EmbeddedServer) -> None:
    assert concurrency(old_server.url("postgres"), 16) == "1"


def concurrency(url: DatabaseUrl, major: int) -> str:
    """What a reading session has been set to."""
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(reading_settings(major, 1))
        cursor.execute("SHOW effective_io_concurrency")
        return str((cursor.fetchone() or [""])[0])
