"""A restore drill, without Prefect: the newest good backup of each type comes back into scratch, and is timed and compared.

Nothing that is live is touched, and nothing stays but a proof of each. What hinders one type hinders no other.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from holdfast.backup_types import TYPES, types_on
from holdfast.errors import DrillFailedError, TimeLimitError
from holdfast.latest import require_good
from holdfast.verification import Verification, VerificationOptions

if TYPE_CHECKING:
    from holdfast.repository import BackupType, Proof, Repository
    from holdfast.settings import Settings


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What came of one type; `seconds` is the restore alone, None where it did not come to its end."""

    type: str
    backup_id: str | None
    ok: bool
    problems: tuple[str, ...] = ()
    seconds: float | None = None
    size_bytes: int | None = None

    def document(self) -> dict[str, Any]:
        """Describe it as the drill's document does."""
        return {
            "type": self.type,
            "backupId": self.backup_id,
            "ok": self.ok,
            "seconds": self.seconds,
            "sizeBytes": self.size_bytes,
            "problems": list(self.problems),
        }


@dataclass(slots=True)
class Drill:
    """A drill on its way: for each of `types` one `begin`, and then what came of it."""

    repository: Repository
    types: Sequence[BackupType]
    options: VerificationOptions
    done: list[Rehearsed] = field(default_factory=list)
    _under_way: Verification | None = None
    _started: float = field(default_factory=time.monotonic)

    def begin(self, backup_type: BackupType) -> Verification:
        """Take the newest good backup of a type, to bring it back. Raises NotFoundError, TimeLimitError."""
        self._under_way = None
        manifest = require_good(self.repository, backup_type)
        options = replace(self.options, time_limit_seconds=self._seconds_left())
        self._under_way = Verification(self.repository, manifest, "proven", options, drill=True)
        return self._under_way

    def end(self, work: Verification, proof: Proof) -> None:
        """Take in what came of it."""
        figures = work.figures
        seconds, size = figures.get("restoreSeconds"), work.manifest.size_bytes
        self.done.append(Rehearsed(work.manifest.type, proof.backup_id, proof.ok, tuple(proof.problems), seconds, size))

    def hindered(self, backup_type: str, reason: str) -> None:
        """Take in what kept a type from being tried: it proves nothing of the backup."""
        backup_id = None if self._under_way is None else self._under_way.manifest.id
        self.done.append(Rehearsed(backup_type, backup_id, ok=False, problems=(reason,)))

    @property
    def ok(self) -> bool:
        """Whether all came back."""
        return all(one.ok for one in self.done)

    def document(self) -> dict[str, Any]:
        """Describe the drill; `seconds` is how long bringing back what came back took, one after the other."""
        return {
            "ok": self.ok,
            "types": [one.document() for one in self.done],
            "seconds": round(sum(one.seconds or 0.0 for one in self.done), 3),
        }

    def failure(self) -> DrillFailedError:
        """Say what did not come back."""
        bad = [one for one in self.done if not one.ok]
        return DrillFailedError(
            f"the restore drill did not bring back: {', '.join(one.type for one in bad)}",
            reason="; ".join(f"{one.type}: {one.problems[0] if one.problems else 'it differs'}" for one in bad),
            next_step="Mend what is said, or make a fresh backup of that type; then run: holdfast drill",
        )

    def _seconds_left(self) -> float | None:
        limit = self.options.time_limit_seconds
        if limit is None:
            return None
        left = self._started + limit - time.monotonic()
        if left <= 0:
            raise TimeLimitError(
                f"the drill did not end within {limit:g} seconds", next_step="Raise BACKUP_VERIFY_TIME_LIMIT_MINUTES"
            )
        return left


def types_of_drill(wanted: Sequence[BackupType] | None, settings: Settings) -> list[BackupType]:
    """Name the types to bring back: these, or all that are on. Raises SettingsError where none is."""
    return [kind for kind in TYPES if kind in wanted] if wanted else types_on(settings)
