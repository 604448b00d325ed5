"""A home for the tests of the command: the real `holdfast`, as a process, with the settings of the test and no others."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from holdfast.postgres.connection import DatabaseUrl, connect
from holdfast.postgres.embedded import EmbeddedServer

HOLDFAST = str(Path(sys.executable).with_name("holdfast"))
KEY = base64.b64encode(hashlib.sha256(b"the first key of the tests of the command").digest()).decode()
ANOTHER_KEY = base64.b64encode(hashlib.sha256(b"the second key of the tests of the command").digest()).decode()


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
        done = subprocess.run(
            [HOLDFAST, *arguments],
            cwd=self.path.parent,
            env=self.environment(**changes),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=150,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

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
def source_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A PostgreSQL server that stands for the user's own."""
    root = tmp_path_factory.mktemp("cli-source")
    root.chmod(0o755)
    server = EmbeddedServer(root / "server")
    server.start()
    try:
        yield server
    finally:
        server.stop()


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
