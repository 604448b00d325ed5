"""How things stand with what is protected: how fresh, how well proven, how fast to bring back, how full the storage is.

It is what one look has seen (`holdfast.look`). Where repository or catalog could not be seen, `seen` and `recorded` say so, and
nothing is made up for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.recovery.untested import PlanTest
    from holdfast.repository import BackupSummary, BackupType, Level, Manifest, Proof


@dataclass(frozen=True, slots=True)
class MeasuredRestore:
    """How long bringing a backup back really took, and of how many bytes."""

    backup_id: str
    at: datetime
    seconds: float
    size_bytes: int
    drill: bool = False

    def seconds_for(self, size_bytes: int) -> float:
        """Estimate the same for as many bytes as there are today; for fewer it is not made shorter."""
        return self.seconds * max(1.0, size_bytes / self.size_bytes if self.size_bytes else 1.0)


def measured_restore(backup: Manifest | BackupSummary, proofs: Sequence[Proof]) -> MeasuredRestore | None:
    """Find the newest restore of a backup that was timed, by a drill or by a verification that restored all of it."""
    for proof in proofs:
        seconds, size = proof.figures.get("restoreSeconds"), proof.figures.get("restoredBytes")
        if proof.ok and isinstance(seconds, int | float) and isinstance(size, int):
            drill = bool(proof.figures.get("drill"))
            return MeasuredRestore(backup.id, proof.finished_at, float(seconds), size, drill)
    return None


@dataclass(frozen=True, slots=True)
class BackupFacts:
    """One backup that is there; `seconds` is how long making it took."""

    id: str
    snapshot_at: datetime
    finished_at: datetime
    size_bytes: int
    stored_bytes: int
    seconds: float
    level: Level | None
    bad: bool = False
    source: str = ""


@dataclass(frozen=True, slots=True)
class Failures:
    """What the catalog knows of attempts: how many failed in a row up to now, the last one that failed, and the last week."""

    in_a_row: int = 0
    last_at: datetime | None = None
    last_job_id: str | None = None
    last_error: str | None = None
    completed_in_week: int = 0
    failed_in_week: int = 0


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the catalog has recorded: failures by type, where backups lie, by their id, and when plans were tested."""

    failures: dict[str, Failures] = field(default_factory=dict)
    copies: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    plans: tuple[PlanTest, ...] = ()

    @classmethod
    def of(
        cls,
        dashboard: Sequence[Mapping[str, Any]],
        metadata: Mapping[str, Mapping[str, Any]],
        plans: tuple[PlanTest, ...] = (),
    ) -> Recorded:
        """Take it from the rows of `get_backup_dashboard` and from the metadata of the newest backups' rows."""
        failures = {
            row["type"]: Failures(
                int(row["failures_since_success"]),
                row["last_failure"],
                row["last_failure_job_id"],
                row["last_failure_error"],
                int(row["completed_last_7_days"]),
                int(row["failed_last_7_days"]),
            )
            for row in dashboard
        }
        return cls(failures, {job_id: list(noted.get("copies") or []) for job_id, noted in metadata.items()}, plans)


@dataclass(frozen=True, slots=True)
class TypeOverview:
    """How one type of backup stands. `newest` and `proven` are good ones; `copies` is of the newest."""

    type: BackupType
    off_because: str | None
    interval: timedelta
    count: int = 0
    newest: BackupFacts | None = None
    newest_is_bad: bool = False
    proven: BackupFacts | None = None
    history: tuple[BackupFacts, ...] = ()
    restore: MeasuredRestore | None = None
    overdue: bool = False
    failures: Failures = Failures()
    copies: int | None = None
    rpo: timedelta | None = None
    rpo_target: timedelta | None = None
    rto_seconds: float | None = None
    next_run: datetime | None = None

    @property
    def on(self) -> bool:
        return self.off_because is None

    @property
    def rpo_missed(self) -> bool:
        """Whether the newest proven backup is older than the target allows; never, where there is no target."""
        return self.on and self.rpo_target is not None and (self.rpo is None or self.rpo > self.rpo_target)


@dataclass(frozen=True, slots=True)
class StorageOverview:
    """The storage: what backups there were read from their sources, and what they take. `capacity_bytes` None: no limit known."""

    location: str
    read_bytes: int = 0
    stored_bytes: int = 0
    capacity_bytes: int | None = None
    used_percent: float | None = None
    nearly_full: bool = False

    @property
    def dedup_ratio(self) -> float | None:
        """How many bytes of sources each stored byte stands for."""
        return self.read_bytes / self.stored_bytes if self.stored_bytes else None


@dataclass(frozen=True, slots=True)
class Overview:
    """How all of it stands at one moment, by the storage's clock where that could be asked."""

    at: datetime
    target: str | None
    types: tuple[TypeOverview, ...]
    storage: StorageOverview | None
    seen: bool
    recorded: bool
    rto_target_seconds: float | None = None
    plans: tuple[PlanTest, ...] = ()
    """Recovery plans, and when they were tested; none where nothing is recorded."""

    def of(self, backup_type: str) -> TypeOverview:
        """Return one type's. Raises KeyError."""
        for one in self.types:
            if one.type == backup_type:
                return one
        raise KeyError(backup_type)

    @property
    def rto_seconds(self) -> float | None:
        """How long bringing everything back takes, one type after the other, as far as it was measured; None: nothing was."""
        known = [one.rto_seconds for one in self.types if one.on and one.rto_seconds is not None]
        return sum(known) if known else None

    @property
    def not_measured(self) -> list[str]:
        """The types with backups whose restore was never measured: the RTO does not count them."""
        return [one.type for one in self.types if one.on and one.newest is not None and one.rto_seconds is None]

    @property
    def rto_missed(self) -> bool:
        target = self.rto_target_seconds
        return target is not None and self.rto_seconds is not None and self.rto_seconds > target
