"""A repository brought to another storage, stored bytes as they are: each object proven first where the key is at hand.

Nothing is deleted at the destination. What was copied before a failure stays there and harms nothing: a second try goes on from
it, and no backup is listed there before all of it is.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast import figures
from holdfast.errors import HoldfastError, MigrationDiffersError, NotFoundError, RefusedError
from holdfast.repository import ReplicationReport, Repository, replicate

if TYPE_CHECKING:
    from holdfast.recovery.deadline import Deadline
    from holdfast.repository import UserKey
    from holdfast.storage import Storage
    from holdfast.storage.replica import Replica

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RepositoryMigration:
    """One migration. `ours` is the repository that is open: where the source is a copy of it, its key is the one to use."""

    source: Replica
    destination: Replica
    ours: Repository
    key: UserKey | None
    deadline: Deadline

    def run(self) -> Json:
        """Copy what is lacking, and compare. Raises MigrationDiffersError, RefusedError (something else is there)."""
        with closing(self.source.open()) as source, closing(self.destination.open()) as destination:
            if source.location == destination.location:
                raise RefusedError("source and destination are the same storage", reason=source.location)
            repository = self._opened(source)
            report = replicate(source, destination, repository=repository, on_progress=self._require_time)
            problems = [*report.problems, *self._lacking(repository, destination, report)]
            if problems:
                raise MigrationDiffersError(
                    f"{destination.location} does not hold all that {source.location} holds",
                    reason="; ".join(figures.first(problems, 5)),
                    next_step="What was copied stays, and another try goes on from it; 'holdfast repo check' reads the source",
                )
            return self._document(report, destination, proven=repository is not None)

    def _require_time(self, done: int, whole: int) -> None:
        del done, whole
        self.deadline.require()

    def _opened(self, source: Storage) -> Repository | None:
        """Open the source's repository; None where its key is not at hand."""
        try:
            return self.ours.copy_in(source)
        except RefusedError:  # it is another repository
            if not Repository.exists(source):
                raise NotFoundError(f"there is no repository in {source.location}") from None
        try:
            return Repository.open(source, key=self.key)
        except HoldfastError:
            return None

    def _lacking(self, repository: Repository | None, destination: Storage, report: ReplicationReport) -> list[str]:
        """Look at the destination by itself: every backup of the source is there, and all of each."""
        broken = [f"backup {one.id} is not whole there" for one in report.backups if not one.whole]
        if repository is None:
            return broken
        copy = repository.copy_in(destination)
        there = {one.id for one in copy.backups() if one.intact is not None}
        missing = [one.id for one in repository.backups() if one.intact is not None and one.id not in there]
        found = copy.check(level="stored")
        harm = [str(one) for one in found.problems if one.harms_content]
        return [*broken, *(f"backup {one} is missing there" for one in missing), *harm]

    def _document(self, report: ReplicationReport, destination: Storage, *, proven: bool) -> Json:
        return {
            "location": destination.location,
            "backups": sum(one.whole for one in report.backups),
            "copiedObjects": report.copied_objects,
            "copiedBytes": report.copied_bytes,
            "presentObjects": report.present_objects,
            "proven": proven,
        }
