"""Spare copies: while a repository is read, its replicas give what its own storage can't.

Nothing that a replica says is believed: what it gives is proven like any other object, and a replica that does not answer, or is
another repository's, is passed over. Only reading comes here. Checks, backups and prunes look at the repository's own storage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.repository.description import Description

if TYPE_CHECKING:
    from holdfast.storage.replica import Replica

SPARED_LISTED_MAX = 20


@dataclass(frozen=True, slots=True)
class SparedObject:
    """An object that was read from a replica, and why its own storage could not give it."""

    object: str
    why: str
    replica: str

    def __str__(self) -> str:
        return f"{self.object}: {self.why}; read from {self.replica}"


class Spares:
    """The replicas of one repository, each opened when it is first needed."""

    def __init__(self, replicas: Sequence[Replica], description: Description | None) -> None:
        self._replicas = tuple(replicas)
        self._description = description
        self.spared: list[SparedObject] = []
        self.spared_count = 0

    def close(self) -> None:
        """Close what was opened."""
