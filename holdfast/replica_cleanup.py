"""The same rules for replicas: replication only adds, so what the primary forgot would stay there for ever.

A replica is judged by what it holds itself, and what the primary still holds is never forgotten there, for it would be copied
again. So a primary that was emptied, by whomever, takes nothing from a replica that the rules keep. A replica that does not
answer or is busy hinders nothing.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from holdfast.cleanup import Cleanup, How
from holdfast.copies import place_of
from holdfast.errors import HoldfastError
from holdfast.history import History, Primary
from holdfast.opening import open_replica
from holdfast.repository import Repository
from holdfast.storage.replica import Replica

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ReplicaOutcome:
    """What became of one replica; `error` says why nothing was done there, or not all."""

    name: str
    location: str | None
    done: Cleanup | None = None
    error: str | None = None
    seconds: float = 0.0

    @property
    def problems(self) -> list[str]:
        found = [self.error] if self.error else []
        if self.done is not None:
            found += [*self.done.problems, *([self.done.put_off] if self.done.put_off else [])]
        return found


def as_primary(repository: Repository, without: Collection[str] = ()) -> Primary:
    """Say of the primary what the clean-up of a replica must know; damaged backups are held, too."""
    return Primary({one.id for one in repository.backups()} - set(without), repository.pin_records())


def clean_replica(
    replica: Replica, repository: Repository, how: How, *, dry_run: bool = False, without: Collection[str] = ()
) -> ReplicaOutcome:
    """Clean one replica of this repository up, after the primary. Raises what opening and reading raise.

    `without` are backups of which the plan of a dry run says that the primary would not hold them any more.
    """
    began = time.monotonic()
    location = place_of(replica.name, replica.settings).location
    primary = as_primary(repository, without if dry_run else ())
    with closing(open_replica(replica)) as storage:
        copy = repository.copy_in(storage)
        done = Cleanup(History(copy, primary), replace(how, by_clock_of=repository)).run(dry_run=dry_run)
    return ReplicaOutcome(replica.name, location, done, seconds=time.monotonic() - began)


def failed(name: str, error: BaseException) -> ReplicaOutcome:
    """Make the outcome of a replica of which nothing came."""
    why = error.what_and_why if isinstance(error, HoldfastError) else str(error)
    return ReplicaOutcome(name, None, error=why or type(error).__name__)
