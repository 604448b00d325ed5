"""Real servers for the tests: one PostgreSQL 18 and, where a test asks for it, one 16, for the whole session."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from holdfast.postgres.connection import DatabaseUrl, connect
from holdfast.postgres.embedded import EmbeddedServer
from tests.postgres.servers import drop_database, running_server, server_folder

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    """A running PostgreSQL 18."""
    with running_server(18) as embedded:
        yield embedded


@pytest.fixture(scope="session")
def old_server() -> Iterator[EmbeddedServer]:
    """A running PostgreSQL 16."""
    with running_server(16) as embedded:
        yield embedded


@pytest.fixture
def own_server() -> Iterator[EmbeddedServer]:
    """A server that the test has for itself and may break; not started yet."""
    with server_folder() as folder:
        embedded = EmbeddedServer(folder / "data")
        yield embedded
        embedded.stop()


@pytest.fixture
def database(server: EmbeddedServer) -> Iterator[DatabaseUrl]:
    """A fresh, empty database on the newer server, dropped after the test."""
    url = server.create_database(f"test_{next(_numbers)}")
    yield url
    drop_database(url)


@pytest.fixture
def run_sql(database: DatabaseUrl) -> Callable[..., list[tuple[object, ...]]]:
    """Run SQL in the test's database (or in `url`) and return its rows."""

    def run(statement: str, *, url: DatabaseUrl = database) -> list[tuple[object, ...]]:
        with closing(connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    return run
