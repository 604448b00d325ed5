"""The stage with the system's own PostgreSQL, for who copies files and does not know the embedded server's version.

The server archives nothing until it is told to (`archiving`), and holds the source alone: who copies files copies all of it.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from benchmarks import plain_source
from benchmarks.stage import ROWS_OF_A_MB, SOURCE, Stage
from benchmarks.system_server import SystemServer
from examples.content_pipeline.facts import PipelineFacts
from holdfast.postgres.connection import connect_to_server

_NOTHING = "/bin/true"


class OlderStage(Stage):
    """The same plays on it, with a database that it can hold; each round's is built afresh, for a copy would be backed up too."""

    server: SystemServer

    def __init__(self, folder: Path, programs: Path) -> None:
        archive = {"archive_mode": "on", "archive_command": _NOTHING}
        super().__init__(folder, SystemServer(folder / "older", programs, settings=archive))
        self._megabytes = 0.0

    def archiving(self, command: str = _NOTHING) -> None:
        """Have the server archive its log by a command, or not at all."""
        with closing(connect_to_server(self.server.url())) as connection, connection.cursor() as cursor:
            cursor.execute("ALTER SYSTEM SET archive_command = %s", (command,))
            cursor.execute("SELECT pg_reload_conf()")

    def build_source(self, megabytes: int) -> PipelineFacts:
        """Make a source of about so many MB on disk afresh, and tell what is in it."""
        self._megabytes = max(1.0, megabytes * ROWS_OF_A_MB)
        self.drop(SOURCE)
        self.server.create_database(SOURCE)
        return plain_source.build(self.source, self._megabytes)

    def keep_pristine(self) -> None:
        """Keep nothing."""

    def pristine_source(self) -> None:
        """Build it again, from the same seed."""
        self.drop(SOURCE)
        self.server.create_database(SOURCE)
        plain_source.build(self.source, self._megabytes)

    def _change(self, percent_appended: float, percent_rows_updated: float, seed: int) -> None:
        how = {"percent_appended": percent_appended, "percent_rows_updated": percent_rows_updated}
        plain_source.change(self.source, self._megabytes, **how, seed=seed)
