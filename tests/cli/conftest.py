"""A home for the tests of the command: the real `holdfast`, as a process, with the settings of the test and no others."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import pytest
from pydantic import SecretStr

from holdfast.postgres.connection import DatabaseUrl, connect
from holdfast.postgres.embedded import EmbeddedServer
from tests.forked_commands import COMMANDS
from tests.postgres.servers import running_server, server_folder
from tests.prefect_homes import prepare_home

HOLDFAST = str(Path(sys.executable).with_name("holdfast"))
KEY = base64.b64encode(hashlib.sha256(b"the first key of the tests of the command").digest()).decode()
PASSWORD = "canary:in/the@database url"
ANOTHER_KEY = base64.b64encode(hashlib.sha256(b"the second key of the tests of the command").digest()).decode()


everything_said: list[str] = []
"""All that any command of this test session printed."""


@dataclass
class Ran:
    """What came of a command."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """The error that the document holds."""
        assert self.code != 0, self.out
        return dict(self.document["error"])


@dataclass
class Home:
    """One installation; `settings` are its only BACKUP_* variables."""

    path: Path
    settings: dict[str, str] = field(default_factory=dict)

    def environment(self, **changes: str | None) -> dict[str, str]:
        """What a command of this home finds in its environment; a change to None takes a variable away."""
        wanted = os.environ | {"HOLDFAST_HOME": str(self.path), "COLUMNS": "160"} | self.settings | changes
        return {name: value for name, value in wanted.items() if value is not None}

    def run(self, *arguments: str, stdin: str = "", **changes: str | None) -> Ran:
        """Run a command to its end."""
        ran = Ran(*COMMANDS.run(list(arguments), self.path.parent, self.environment(**changes), stdin, seconds=150))
        everything_said.append(ran.out + ran.err)
        return ran

    def json(self, *arguments: str, stdin: str = "", code: int = 0, **changes: str | None) -> Any:
        """Run a command with --json, require its exit code, and return its document."""
        ran = self.run(*arguments, "--json", stdin=stdin, **changes)
        assert ran.code == code, f"{arguments}: exit {ran.code}\n{ran.out}\n{ran.err}"
        return ran.document

    def error(self, code: int, *arguments: str, stdin: str = "", **changes: str | None) -> dict[str, Any]:
        """Run a command with --json that must fail with this exit code, and return its error."""
        return dict(self.json(*arguments, stdin=stdin, code=code, **changes)["error"])


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty home with a key."""
    return Home(tmp_path / "home", {"BACKUP_ENCRYPTION_KEY": KEY})


@pytest.fixture(scope="session")
def source_server() -> Iterator[EmbeddedServer]:
    """A PostgreSQL server that stands for the user's own."""
    with running_server(18) as server:
        yield server


def execute(url: DatabaseUrl, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements one by one; return the rows of the last."""
    connection = connect(url)
    try:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def make_shop(server: EmbeddedServer, name: str) -> DatabaseUrl:
    """Make a small database with a table, an index and a view."""
    quoted = name.replace('"', '""')
    execute(server.url(), f'CREATE DATABASE "{quoted}"')
    url = server.url(name)
    execute(
        url,
        "CREATE TABLE orders (id int PRIMARY KEY, customer text NOT NULL, total numeric)",
        "INSERT INTO orders SELECT n, 'customer ' || n % 50, n * 1.5 FROM generate_series(1, 2000) AS n",
        "CREATE VIEW big_orders AS SELECT * FROM orders WHERE total > 1000",
        "CREATE TABLE notes (body text)",
        "INSERT INTO notes VALUES ('hello')",
    )
    return url


@dataclass
class Shop:
    """An installation that has backed up a small database once; tests look, and leave it as it was."""

    home: Home
    source: DatabaseUrl
    server: EmbeddedServer
    initialized: dict[str, Any]
    backup: dict[str, Any]
    command_lines: CommandLines


class CommandLines:
    """Watches the command lines of all processes of the machine, as any user of it could."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._enough.wait(0.02):
            for process in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    self.seen.add((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join()


def with_password(url: DatabaseUrl) -> str:
    """Write the URL with the canary as its password (the test server asks for none)."""
    return replace(url, password=SecretStr(PASSWORD)).with_password().get_secret_value()


@pytest.fixture(scope="session")
def shop(source_server: EmbeddedServer) -> Iterator[Shop]:
    """A home where `init` and `backup database` were run."""
    source = make_shop(source_server, "shop")
    with server_folder() as root:
        home = Home(root / "home", {"BACKUP_ENCRYPTION_KEY": KEY, "BACKUP_DATABASE_URL": with_password(source)})
        prepare_home(home.path)
        try:
            with CommandLines() as seen:
                initialized = home.json("init")
                backup = home.json("backup", "database")
            yield Shop(home, source, source_server, initialized, backup, seen)
        finally:
            home.json("down")


def databases(server: EmbeddedServer) -> set[str]:
    """Name all databases of a server."""
    return {str(row[0]) for row in execute(server.url(), "SELECT datname FROM pg_database WHERE NOT datistemplate")}


def orders(url: DatabaseUrl) -> tuple[Any, ...]:
    """Tell what is in the shop's table of orders."""
    return execute(url, "SELECT count(*), sum(total), min(customer) FROM orders")[0]
