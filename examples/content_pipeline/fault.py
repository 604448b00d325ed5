"""What a fault is: one way in which the sample really breaks, done for a game day and for nothing else.

A fault is one file in `faults/`, which ends with `FAULT = <class>()`. It breaks the sample alone: what lies below a folder that
carries the mark of a sample, or nothing at all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from holdfast.errors import RefusedError
from holdfast.postgres.connection import DatabaseUrl, connect
from holdfast.postgres.embedded import EmbeddedServer

MARK = ".holdfast-demo"
"""The file that says of a folder that all in it is a sample, and may be broken and emptied."""

Part = Literal["database", "function", "config", "secrets"]


@dataclass(frozen=True, slots=True)
class Parts:
    """The sample as a fault finds it: everything lies below `folder`, which carries the mark."""

    folder: Path
    server: EmbeddedServer
    database: str
    functions: Path
    """The folder that holds `config.toml` and `functions/`."""
    settings: Path
    env_file: Path
    log: Path
    """What the pipeline writes, and where no secret may stand."""

    @property
    def url(self) -> DatabaseUrl:
        """The database, where its server runs."""
        return self.server.url(self.database)

    def require_mark(self) -> None:
        """Raise RefusedError where this is no sample."""
        outside = [path for path in self._paths if not path.resolve().is_relative_to(self.folder.resolve())]
        if not (self.folder / MARK).is_file() or outside:
            raise RefusedError(
                f"{outside[0] if outside else self.folder} is not of a sample, so nothing in it was broken",
                next_step="Faults are for the sample alone: holdfast drill --fault NAME builds one",
            )

    @property
    def _paths(self) -> tuple[Path, ...]:
        return (self.server.data_dir, self.functions, self.settings, self.env_file, self.log)


class Fault(ABC):
    """One way to break the sample."""

    name: ClassVar[str]
    part: ClassVar[Part]
    """What it breaks: the type of backup that protects it."""
    plan: ClassVar[str]
    """The plan that is to bring it back."""
    trigger: ClassVar[str]
    """The event that tells of it."""
    title: ClassVar[str]
    """What happens, in a few words."""

    def do(self, parts: Parts) -> str:
        """Break it, and say in a sentence what was done. Raises RefusedError where this is no sample."""
        parts.require_mark()
        return self._break(parts)

    @abstractmethod
    def _break(self, parts: Parts) -> str:
        """Break it, for real."""


@contextmanager
def statements(url: DatabaseUrl) -> Iterator[Any]:
    """Lend a cursor whose statements each take effect at once."""
    with closing(connect(url, application_name="content_pipeline")) as connection, connection.cursor() as cursor:
        yield cursor
