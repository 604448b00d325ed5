"""Replication: copy what a replica lacks, stored bytes as they are, so that it becomes a repository of its own.

Key files and repository.json first, then chunks, then manifests, each followed by its proofs: whenever a replication dies, every
backup that the replica lists is whole. Damage never spreads: with the key each object is proven before it is copied.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from holdfast.storage import Storage

if TYPE_CHECKING:
    from holdfast.repository.repository import Repository

Progress = Callable[[int, int], None]  # chunks done, chunks to copy in all


@dataclass(frozen=True, slots=True)
class BackupCopy:
    """A backup of the source, and whether the target holds all of it."""

    id: str
    type: str
    whole: bool


@dataclass(slots=True)
class ReplicationReport:
    """What a replication did; of a great many problems only the first are listed, and the last says how many more."""

    copied_objects: int = 0
    copied_bytes: int = 0
    present_objects: int = 0
    backups: list[BackupCopy] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether the target now holds all that the source has, whole."""
        return not self.problems


def replicate(
    source: Storage,
    target: Storage,
    *,
    repository: Repository | None = None,
    read_back: bool = True,
    threads: int = 4,
    on_progress: Progress | None = None,
) -> ReplicationReport:
    """Bring the target up to date; `repository` is the source's, opened, where the key is at hand.

    Raises NotFoundError and DamagedError (of the source), RefusedError (the target holds something else), BusyError,
    LeaseLostError, StorageFullError, StorageDeniedError, StorageUnreachableError. What was copied until then stays, and is
    not copied again.
    """
    raise NotImplementedError
