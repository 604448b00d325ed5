"""Real servers for the tests: one PostgreSQL 18 and, where a test asks for it, one 16, for the whole session."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.postgres.connection import DatabaseUrl, connect, connect_to_server, quote_identifier
from holdfast.postgres.embedded import EmbeddedServer

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A running PostgreSQL 18."""
    yield from _running(tmp_path_factory.mktemp("pg18"), 18)


@pytest.fixture(scope="session")
def old_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A running PostgreSQL 16."""
    yield from _running(tmp_path_factory.mktemp("pg16"), 16)


def _running(folder: Path, version: int) -> Iterator[EmbeddedServer]:
    embedded = EmbeddedServer(folder / "data", version=16 if version == 16 else 18)
    embedded.start()
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


def drop_database(url: DatabaseUrl) -> None:
    """Drop a database and whoever is still in it."""
    with closing(connect_to_server(url)) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {quote_identifier(url.database)} WITH (FORCE)")
