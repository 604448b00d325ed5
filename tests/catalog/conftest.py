"""A real server for the session, and for each test a catalog of its own, copied from a migrated one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from holdfast.catalog import Catalog
from holdfast.postgres.connection import DatabaseUrl, connect, connect_to_server
from holdfast.postgres.embedded import EmbeddedServer
from tests.postgres.servers import running_server

_numbers = itertools.count(1)

Ask = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    """A running PostgreSQL 18."""
    with running_server(18) as embedded:
        yield embedded


@pytest.fixture
def empty(server: EmbeddedServer) -> Iterator[DatabaseUrl]:
    """An empty database."""
    url = server.create_database(f"catalog_{next(_numbers)}")
    yield url
    drop(url)


@pytest.fixture(scope="session")
def migrated(server: EmbeddedServer) -> DatabaseUrl:
    """A migrated catalog that tests copy; nobody writes into it."""
    url = server.create_database("migrated")
    with Catalog(url) as catalog:
        catalog.migrate()
    return url


@pytest.fixture
def url(server: EmbeddedServer, migrated: DatabaseUrl) -> Iterator[DatabaseUrl]:
    """The database of the test's catalog."""
    name = f"catalog_{next(_numbers)}"
    ask_once(server.url(), f"CREATE DATABASE {name} TEMPLATE {migrated.database}")
    yield server.url(name)
    drop(server.url(name))


@pytest.fixture
def catalog(url: DatabaseUrl) -> Iterator[Catalog]:
    with Catalog(url) as opened:
        yield opened


@pytest.fixture
def ask(url: DatabaseUrl) -> Ask:
    """Run SQL in the test's catalog, past the code under test, and return its rows."""

    def run(statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return ask_once(url, statement, *parameters)

    return run


def ask_once(url: DatabaseUrl, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)
        return cursor.fetchall() if cursor.description else []


def drop(url: DatabaseUrl) -> None:
    with closing(connect_to_server(url)) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {url.database} WITH (FORCE)")
