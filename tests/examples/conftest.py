"""A server for the sample pipeline, and one small pipeline that many tests look at."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from examples.content_pipeline.generate import build
from holdfast.postgres.connection import DatabaseUrl, connect
from holdfast.postgres.embedded import EmbeddedServer
from holdfast.postgres.tools import find_tool
from tests.postgres.servers import running_server

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    """A running PostgreSQL 18."""
    with running_server(18) as embedded:
        yield embedded


@pytest.fixture
def empty(server: EmbeddedServer) -> DatabaseUrl:
    """A fresh, empty database."""
    return server.create_database(f"empty_{next(_numbers)}")


@pytest.fixture(scope="session")
def pipeline(server: EmbeddedServer) -> DatabaseUrl:
    """A small sample pipeline; tests only read it."""
    url = server.create_database("one_megabyte")
    build(url, megabytes=1)
    return url


@pytest.fixture(scope="session")
def tools() -> Path:
    """The folder of the PostgreSQL programs that fit the server."""
    return find_tool("pg_dump", at_least_major=18).path.parent


def ask(url: DatabaseUrl, statement: str) -> list[tuple[Any, ...]]:
    """Run SQL and return its rows."""
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []
