"""Where a benchmark plays: one embedded PostgreSQL, one home of Holdfast with its Prefect server, one folder for all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from examples.content_pipeline.facts import PipelineFacts, measure
from examples.content_pipeline.generate import build
from holdfast.postgres.connection import DatabaseUrl, connect_to_server, quote_identifier
from holdfast.postgres.embedded import EmbeddedServer
from holdfast.postgres.tools import ToolName, find_tool

HOLDFAST = str(Path(sys.executable).with_name("holdfast"))
SOURCE, RESTORED = "source", "restored"


class Stage:
    """Everything that lies under `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = EmbeddedServer(folder / "postgres")
        self.home = folder / "home"
        self.key_file = folder / "key"
        self.dump = folder / "dump"

    @property
    def source(self) -> DatabaseUrl:
        """The database that is backed up."""
        return self.server.url(SOURCE)

    @property
    def restored(self) -> DatabaseUrl:
        """The database that is restored to; it exists only while it is looked at."""
        return self.server.url(RESTORED)

    def build_source(self, megabytes: int) -> PipelineFacts:
        """Make the source afresh, and tell what is in it."""
        self.drop(SOURCE)
        self.server.create_database(SOURCE)
        build(self.source, megabytes=megabytes)
        return measure(self.source)

    def drop(self, database: str) -> None:
        """Drop a database where there is one."""
        self._on_server(f"DROP DATABASE IF EXISTS {quote_identifier(database)} WITH (FORCE)")

    def settle(self) -> None:
        """Have earlier writes on disk, so that nobody pays for those of the one before."""
        self._on_server("CHECKPOINT")
        os.sync()

    def repository(self, name: str) -> Path:
        """The folder of one of the repositories."""
        return self.folder / "repositories" / name

    def forget_repository(self, name: str) -> None:
        """Remove a repository."""
        shutil.rmtree(self.repository(name), ignore_errors=True)

    def environment(self, repository: str = "none", algorithm: str = "zstd") -> dict[str, str]:
        """What every process that is measured gets: the machine's own environment without its settings, and ours."""
        strangers = ("BACKUP_", "HOLDFAST_", "PREFECT_", "PG", "PYTHONDONTWRITEBYTECODE")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(strangers)}
        return kept | {
            "DO_NOT_TRACK": "1",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "HOLDFAST_HOME": str(self.home),
            "BACKUP_DATABASE_URL": str(self.source),
            "BACKUP_ENCRYPTION_KEY_FILE": str(self.key_file),
            "BACKUP_STORAGE_PATH": str(self.repository(repository)),
            "BACKUP_COMPRESSION_ALGORITHM": algorithm,
        }

    def holdfast(self, *arguments: str, repository: str = "none", algorithm: str = "zstd") -> None:
        """Run a command that is not measured."""
        command = [HOLDFAST, *arguments]
        environment = self.environment(repository, algorithm)
        done = subprocess.run(command, env=environment, cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")

    def new_repository(self, name: str, algorithm: str = "zstd") -> None:
        """Make an empty repository, and the blocks that name it."""
        self.forget_repository(name)
        self.holdfast("init", repository=name, algorithm=algorithm)

    def tool(self, name: ToolName) -> str:
        """The PostgreSQL tool that fits the server."""
        return str(find_tool(name, at_least_major=self.server.version).path)

    def _on_server(self, statement: str) -> None:
        with closing(connect_to_server(self.server.url())) as connection, connection.cursor() as cursor:
            cursor.execute(statement)


@contextmanager
def open_stage(folder: Path) -> Iterator[Stage]:
    """Start the servers, and stop them in the end."""
    stage = Stage(folder)
    stage.server.start()
    try:
        stage.holdfast("keys", "generate", "--file", str(stage.key_file))
        yield stage
    finally:
        try:
            stage.holdfast("down")
        finally:
            stage.server.stop()
