"""Which backup is brought back: the newest good one that passes its check. What is passed over on the way is told, and why.

A backup that a person named is never replaced by another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from holdfast import figures
from holdfast.errors import DamagedError, NotFoundError
from holdfast.repository import canonical
from holdfast.verification import find_backup

if TYPE_CHECKING:
    from holdfast.recovery.deadline import Deadline
    from holdfast.recovery.world import World
    from holdfast.repository import Manifest

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A backup that was not taken, and why."""

    backup_id: str
    reason: str

    def __str__(self) -> str:
        return f"backup {self.backup_id} was passed over: {self.reason}"


@dataclass(slots=True)
class Choice:
    """The backups of a type, or the one that was named, as they come into question."""

    world: World
    backup_type: str
    backup_id: str | None
    deadline: Deadline
    no_older_than: datetime | None = None
    """Of when the backup is that a person has agreed to go back to."""
    lacks: Callable[[Manifest], str | None] = lambda _: None
    """Says what of it is wanted and a backup has not, as one that was made when that was gone already."""
    passed_over: list[PassedOver] = field(default_factory=list)

    def bring(self, bring: Callable[[Manifest], Json], *, falls_back: bool = True) -> tuple[Manifest, Json]:
        """Bring the first one back that passes its check and proves to be whole; return it, and what `bring` said.

        Without `falls_back` no other is tried once one has begun to come back. Raises DamagedError, or NotFoundError, where none
        is left.
        """
        for manifest in self._checked():
            try:
                return manifest, bring(manifest)
            except DamagedError as error:
                if self.backup_id is not None or not falls_back:
                    raise
                self._pass_over(manifest.id, error.what_and_why)
        raise self._none_left()

    def first(self) -> Manifest:
        """Return the one that would be tried first; it is not checked. Raises NotFoundError, DamagedError."""
        manifest = next(self._good(), None)
        if manifest is None:
            raise self._none_left()
        return manifest

    def document(self, manifest: Manifest) -> Json:
        """Describe the backup that was taken for a step's output."""
        return {
            "backupId": manifest.id,
            "snapshotAt": canonical.time_text(manifest.snapshot_at),
            "ageSeconds": round((datetime.now(UTC) - manifest.snapshot_at).total_seconds()),
            "passedOver": [{"backupId": one.backup_id, "reason": one.reason} for one in self.passed_over],
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """Say which backups were passed over."""
        return tuple(str(one) for one in self.passed_over)

    def _checked(self) -> Iterator[Manifest]:
        for manifest in self._good():
            found = self.world.check(self.backup_type, manifest.id, self.deadline)
            if found["ok"]:
                yield manifest
                continue
            reason = f"it did not pass its check: {'; '.join(figures.first(found['problems'], 3))}"
            if self.backup_id is not None:
                raise DamagedError(
                    f"backup {manifest.id} was not brought back",
                    reason=reason,
                    next_step="Name another one, or none: then the newest that is good is taken",
                )
            self._pass_over(manifest.id, reason)

    def _good(self) -> Iterator[Manifest]:
        """Yield the backups of which no damage is known, the newest first; or the one that was named, whatever is known of it."""
        repository = self.world.repository
        if self.backup_id is not None:
            yield find_backup(repository, self.backup_id, self.backup_type)
            return
        index = repository.proof_index()
        for summary in repository.backups(self.backup_type):
            if summary.intact is None:
                self._pass_over(summary.id, "its manifest can't be read")
            elif index.is_bad(summary.intact):
                problems = index.proofs(summary.intact)[0].problems
                self._pass_over(summary.id, f"it is known to be bad: {'; '.join(figures.first(problems, 3))}")
            elif self.world.as_of is not None and summary.intact.snapshot_at > self.world.as_of:
                self._pass_over(summary.id, "it was made after a person was asked, so it may hold the trouble itself")
            elif self.no_older_than is not None and summary.intact.snapshot_at < self.no_older_than:
                self._pass_over(summary.id, "it is older than the one that a person has agreed to; a new execution asks again")
            elif (lacking := self.lacks(summary.intact)) is not None:
                self._pass_over(summary.id, lacking)
            elif (stored := self._as_stored(summary.id)) is not None:
                yield stored

    def _as_stored(self, backup_id: str) -> Manifest | None:
        """Open its manifest in the storage, whatever a list remembers of it."""
        try:
            return self.world.repository.manifest(backup_id)
        except (DamagedError, NotFoundError) as error:
            self._pass_over(backup_id, f"its manifest can't be read: {error.what_and_why}")
            return None

    def _pass_over(self, backup_id: str, reason: str) -> None:
        self.passed_over.append(PassedOver(backup_id, reason))

    def _none_left(self) -> NotFoundError | DamagedError:
        make = f"'holdfast backup {self.backup_type}' makes one of what is there now"
        if not self.passed_over:
            return NotFoundError(f"there is no {self.backup_type} backup to bring back", next_step=make)
        return DamagedError(
            f"no {self.backup_type} backup is left that is good, so nothing was changed",
            reason="; ".join(f"{one.backup_id}: {one.reason}" for one in self.passed_over[:5]),
            next_step="'holdfast repo check --repair' heals what a replica still has; to try a bad one all the same, name it as "
            f"backupId. {make}",
        )


def how_old(manifest: Manifest) -> str:
    """Tell a backup with its age, for people."""
    return f"backup {manifest.id} of {figures.minute_utc(manifest.snapshot_at)}, {figures.age(manifest.snapshot_at)}"
