"""A PostgreSQL server that asks for passwords, and a vault in one of its databases."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from holdfast.postgres.connection import DatabaseUrl, connect
from holdfast.postgres.embedded import EmbeddedServer
from tests.postgres.servers import drop_database, running_server

RunSql = Callable[..., list[tuple[Any, ...]]]

_RULES = "local all postgres trust\nlocal all all scram-sha-256\n"
_VAULT = Path(__file__).with_name("vault_schema.sql")
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    """A server that everybody but its superuser logs in to with a password, and that logs every statement."""
    with running_server(18) as embedded:
        (embedded.data_dir / "pg_hba.conf").write_text(_RULES)
        with closing(connect(embedded.url())) as connection, connection.cursor() as cursor:
            cursor.execute("ALTER SYSTEM SET log_statement = 'all'")
            cursor.execute("SELECT pg_reload_conf()")
        yield embedded


@pytest.fixture
def database(server: EmbeddedServer) -> Iterator[DatabaseUrl]:
    """A fresh database; the login roles that the test makes are dropped with it."""
    url = server.create_database(f"secrets_{next(_numbers)}")
    yield url
    drop_database(url)
    with closing(connect(server.url())) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT format('DROP ROLE %I', rolname) FROM pg_roles WHERE oid >= 16384")
        for (statement,) in cursor.fetchall():
            cursor.execute(statement)


@pytest.fixture
def run_sql(database: DatabaseUrl) -> RunSql:
    """Run SQL in the test's database and return its rows."""

    def run(statement: str) -> list[tuple[Any, ...]]:
        with closing(connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    return run


@pytest.fixture
def vault(database: DatabaseUrl, run_sql: RunSql) -> DatabaseUrl:
    """A database with a vault."""
    run_sql(_VAULT.read_text())
    return database


@pytest.fixture
def server_log(server: EmbeddedServer) -> Callable[[], str]:
    """What the server has logged so far."""
    return lambda: "".join(path.read_text() for path in server.data_dir.glob("**/*log") if path.is_file())
