"""The contract of every source of functions, configuration and secrets metadata: what a backup reads, part by part.

What the flows rely on:

- `parts` looks at the source and names what there is to store, in a fixed order. It raises where the source as a whole can't be
  read (a missing folder, a refused token). What is in no part is not in the backup. A source that holds nothing has no parts.
- `read` reads one part; parts may be read from several threads at once, and again where reading one failed. Each part becomes
  one entry of the backup, named as the part is: `tar` for files, `json` for a document.
- What of a part can't be read is left out and named (see `Content.left_out`), and the rest of it is not lost. What fails as a
  whole raises.
- No file is ever stored half of one version and half of another.
- The same source, unchanged, gives the same bytes again: order, times and modes are the source's, never those of the reading.
- Errors are those of `holdfast.errors`, name the source and the thing, and never hold a secret. Only what may succeed on a
  second try is `retryable`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from holdfast.repository import BackupType
from holdfast.sources.files import SourceFile

Json = dict[str, Any]
PartKind = Literal["tar", "json"]


@dataclass(frozen=True, slots=True)
class Part:
    """One entry-to-be: its name, such as `function/hello`, and how its bytes are to be read."""

    name: str
    kind: PartKind


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that is not in a backup: its name, as a person knows it, and why.

    `withheld` is what is kept out on purpose, as a secret; all else should have been in it.
    """

    name: str
    reason: str
    withheld: bool = False

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(slots=True)
class Content:
    """What a part holds: files (of a `tar` part; read while they are stored) or a document (of a `json` part).

    `facts` go into the backup's truth: what is known of the part beside its bytes; JSON, and no secret. `left_out` may grow until
    the last file was taken, and is looked at only then.
    """

    files: Iterable[SourceFile] | None = None
    document: Any = None
    facts: Json = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)


class Source(ABC):
    """Something that is backed up; `close` it when it was read."""

    type: ClassVar[BackupType]

    @property
    @abstractmethod
    def description(self) -> Json:
        """Say what this is, for manifest, rows and people: at least `kind` and `name`; the same for each backup of a source."""

    @abstractmethod
    def parts(self) -> list[Part]:
        """Look at the source and name its parts. Raises NotFoundError, SettingsError, AccessDeniedError, UnreachableError."""

    @abstractmethod
    def read(self, part: Part) -> Content:
        """Read one of the parts."""

    def close(self) -> None:  # noqa: B027  most sources hold nothing open
        """Release what the source holds open."""
