"""What a check found, and what a replication did: each problem names the object in storage."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from holdfast.repository import names

CheckLevel = Literal["stored", "read"]

HEALED_LISTED_MAX = 1000
PROBLEMS_LISTED_MAX = 100  # of a replication


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

    @property
    def damaged_manifests(self) -> list[str]:
        """The names of the manifests that something is wrong with."""
        return [problem.object for problem in self.problems if names.manifest_parts(problem.object) is not None]

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


@dataclass(frozen=True, slots=True)
class BackupCopy:
    """A backup of the source, and whether the target holds all of it."""

    id: str
    type: str
    whole: bool


@dataclass(slots=True)
class ReplicationReport:
    """What a replication did. Of a great many problems only the first are listed, and the last line says how many more."""

    copied_objects: int = 0
    copied_bytes: int = 0
    present_objects: int = 0
    backups: list[BackupCopy] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    problem_count: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong: the target now holds all that the source has, whole."""
        return not self.problems

    def add_problem(self, what: str) -> None:
        self.problem_count += 1
        more = self.problem_count - PROBLEMS_LISTED_MAX
        if more <= 0:
            self.problems.append(what)
        else:
            self.problems[PROBLEMS_LISTED_MAX:] = [f"and {more} more"]
