"""Where a benchmark plays: one PostgreSQL, the embedded one unless another is brought; one home of Holdfast with its Prefect
server; one folder for all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

from examples.content_pipeline.facts import PipelineFacts, measure
from examples.content_pipeline.generate import SEED, build, change
from holdfast.postgres.connection import DatabaseUrl, connect, connect_to_server, quote_identifier
from holdfast.postgres.embedded import EmbeddedServer
from holdfast.postgres.tools import ToolName, find_tool

HOLDFAST = str(Path(sys.executable).with_name("holdfast"))
SOURCE, PRISTINE, RESTORED = "source", "pristine", "restored"
ROWS_OF_A_MB = 0.7
"""MiB of rows for each MB that a database with its indexes is to take on disk."""


class Server(Protocol):
    """What a stage needs of its PostgreSQL; `version` is the major one, `data_dir` belongs to the server's user."""

    @property
    def data_dir(self) -> Path: ...

    @property
    def version(self) -> int: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def url(self, database: str = "postgres") -> DatabaseUrl: ...

    def create_database(self, name: str) -> DatabaseUrl: ...


class Stage:
    """Everything that lies under `folder`."""

    def __init__(self, folder: Path, server: Server | None = None) -> None:
        self.folder = folder
        self.server: Server = server or EmbeddedServer(folder / "postgres")
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
        """Make a source of about so many MB on disk afresh, and tell what is in it."""
        self.drop(SOURCE)
        self.server.create_database(SOURCE)
        build(self.source, megabytes=max(1, round(megabytes * ROWS_OF_A_MB)))
        return measure(self.source)

    def keep_pristine(self) -> None:
        """Keep the source as it is now, for `pristine_source`."""
        self.drop(PRISTINE)
        self._on_server(f"ALTER DATABASE {SOURCE} RENAME TO {PRISTINE}")

    def pristine_source(self) -> None:
        """Have the source be what it was, file by file."""
        self.drop(SOURCE)
        self._on_server(f"CREATE DATABASE {SOURCE} TEMPLATE {PRISTINE} STRATEGY FILE_COPY")

    def change_source(self, *, percent_appended: float = 0.0, percent_rows_updated: float = 0.0, seed: int = SEED) -> None:
        """Work on the source as a day would, and vacuum, so that no backup pays for that, or is disturbed by it."""
        self._change(percent_appended, percent_rows_updated, seed)
        with closing(connect(self.source)) as connection, connection.cursor() as cursor:
            cursor.execute("VACUUM (ANALYZE)")

    def _change(self, percent_appended: float, percent_rows_updated: float, seed: int) -> None:
        change(self.source, percent_appended=percent_appended, percent_rows_updated=percent_rows_updated, seed=seed)

    def dump_source(self) -> None:
        """Make the local dump that pg_restore reads."""
        subprocess.run([self.tool("pg_dump"), "-Fc", "-f", str(self.dump), "-d", str(self.source)], check=True)

    def source_bytes(self) -> int:
        """What the source takes on the server's disk."""
        with closing(connect(self.source)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_database_size(current_database())")
            return int((cursor.fetchone() or (0,))[0])

    def fresh_restored(self) -> None:
        """Make the empty database that is restored to."""
        self.drop_restored()
        self.server.create_database(RESTORED)

    def drop_restored(self) -> None:
        """Drop what was restored, so that the server does not see to it while the next is measured."""
        self.drop(RESTORED)

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

    def empty(self, folder: Path) -> None:
        """Have an empty folder there."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    def forget_repository(self, name: str) -> None:
        """Remove a repository."""
        shutil.rmtree(self.repository(name), ignore_errors=True)

    def environment(self, repository: str = "none", algorithm: str = "zstd") -> dict[str, str]:
        """What every process that is measured gets: the machine's own environment without its settings, and ours."""
        strangers = ("BACKUP_", "HOLDFAST_", "PREFECT_", "PG", "RESTIC_", "BORG_", "PYTHONDONTWRITEBYTECODE")
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

    def said(self, command: Sequence[str], environment: Mapping[str, str]) -> str:
        """What a command says that is not measured."""
        return subprocess.run(
            command, env=dict(environment), cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
        ).stdout

    def server_pid(self) -> int:
        """The process of the server that its sessions are children of."""
        return int((self.server.data_dir / "postmaster.pid").read_text().split("\n", 1)[0])

    def tool(self, name: ToolName) -> str:
        """The PostgreSQL tool that fits the server."""
        return str(find_tool(name, at_least_major=self.server.version).path)

    def _on_server(self, statement: str) -> None:
        with closing(connect_to_server(self.server.url())) as connection, connection.cursor() as cursor:
            cursor.execute(statement)


@contextmanager
def open_stage(folder: Path, make: Callable[[Path], Stage] = Stage) -> Iterator[Stage]:
    """Start the servers, and stop them in the end."""
    stage = make(folder)
    stage.server.start()
    try:
        stage.holdfast("keys", "generate", "--file", str(stage.key_file))
        yield stage
    finally:
        try:
            stage.holdfast("down")
        finally:
            stage.server.stop()
