"""What a check found: a list of problems, each naming the object in storage and the backups that it concerns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

CheckLevel = Literal["stored", "read"]

HEALED_LISTED_MAX = 1000


@dataclass(frozen=True, slots=True)
class Problem:
    """One damaged, missing or foreign object.

    `harms_content` is False where every byte of every backup can still be read in spite of it: a lost proof, a second key.
    """

    object: str
    what: str
    backups: tuple[str, ...] = ()
    entries: tuple[str, ...] = ()
    harms_content: bool = True

    def __str__(self) -> str:
        text = f"{self.object}: {self.what}"
        if self.backups:
            text += f" (backup {', '.join(self.backups)}"
            text += f"; entry {', '.join(self.entries)})" if self.entries else ")"
        return text


@dataclass(frozen=True, slots=True)
class Healed:
    """One object that was damaged or missing and is whole again; `replica` says whose copy took its place."""

    object: str
    what: str
    replica: str

    def __str__(self) -> str:
        return f"{self.object}: {self.what}; healed from {self.replica}"


@dataclass(slots=True)
class CheckReport:
    """The outcome of a check. What was healed is no problem any more; of a great many only the first are listed."""

    level: CheckLevel
    subset: tuple[int, int] | None = None
    backups: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    chunks: int = 0
    chunks_read: int = 0
    bytes_read: int = 0
    chunks_set_aside: int = 0
    healed: list[Healed] = field(default_factory=list)
    objects_healed: int = 0

    @property
    def ok(self) -> bool:
        return not self.problems

    @property
    def content_ok(self) -> bool:
        """Whether every byte of the backups that were checked can be read, as far as this level can tell."""
        return not any(problem.harms_content for problem in self.problems)

    def add_healed(self, name: str, what: str, replica: str) -> None:
        self.objects_healed += 1
        if len(self.healed) < HEALED_LISTED_MAX:
            self.healed.append(Healed(name, what, replica))

    def add(
        self,
        name: str,
        what: str,
        *,
        backups: tuple[str, ...] = (),
        entries: tuple[str, ...] = (),
        harms_content: bool = True,
    ) -> None:
        self.problems.append(Problem(name, what, backups, entries, harms_content))
