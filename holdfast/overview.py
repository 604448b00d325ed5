"""How things stand with what is protected: how fresh, how well proven, how fast to bring back, how full the storage is.

One look at the repository and at what the catalog has recorded, for everything that tells of it: alarms, dashboard, metrics,
report, `status`. Where one of the two can't be seen, `seen` and `recorded` say so, and nothing is made up for it.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from holdfast.backup_types import TYPES, why_off
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.repository import BackupSummary, BackupType, Level, Manifest, Proof, Repository
    from holdfast.repository.proof_index import ProofIndex
    from holdfast.settings import Settings

LATE = 1.25
"""How many intervals may pass until a backup is overdue."""

HISTORY = 30
"""How many of the newest backups of each type are told one by one."""

_log = logging.getLogger(__name__)


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
    """What the catalog has recorded: failures by type, and where backups lie, by their id."""

    failures: dict[str, Failures] = field(default_factory=dict)
    copies: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @classmethod
    def of(cls, dashboard: Sequence[Mapping[str, Any]], metadata: Mapping[str, Mapping[str, Any]]) -> Recorded:
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
        return cls(failures, {job_id: list(noted.get("copies") or []) for job_id, noted in metadata.items()})


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


def look_over(
    settings: Settings,
    repository: Repository | None,
    recorded: Callable[[Sequence[str]], Recorded | None] = lambda _: None,
    next_runs: Mapping[str, datetime] | None = None,
) -> Overview:
    """Look at everything once. Without a repository only what is recorded is told.

    `recorded` is given the ids of the newest backups, and returns None where the catalog does not answer. `next_runs` says for
    the types with a schedule when it is their turn. Raises what the storage raises.
    """
    rto_target = None if settings.rto_target_minutes is None else settings.rto_target_minutes * 60
    due = next_runs or {}
    if repository is None:
        known = recorded([])
        unseen = tuple(replace(_unseen(kind, settings, known), next_run=due.get(kind)) for kind in TYPES)
        return Overview(
            datetime.now(UTC),
            settings.target,
            unseen,
            None,
            seen=False,
            recorded=known is not None,
            rto_target_seconds=rto_target,
        )
    now = _now(repository)
    summaries = repository.backups()
    index = repository.proof_index()
    of_type = {kind: [one for one in summaries if one.type == kind] for kind in TYPES}
    known = recorded([found.id for kind in TYPES if (found := _newest(of_type[kind], index)) is not None])
    looked = [
        _type(kind, settings, created_at=repository.created_at, summaries=of_type[kind], index=index, known=known, now=now)
        for kind in TYPES
    ]
    return Overview(
        now,
        settings.target,
        tuple(replace(one, next_run=due.get(one.type)) for one in looked),
        _storage(settings, repository, summaries),
        seen=True,
        recorded=known is not None,
        rto_target_seconds=rto_target,
    )


def interval_of(kind: str, settings: Settings) -> timedelta:
    """How often a type is backed up."""
    return timedelta(hours=getattr(settings, f"{kind}_backup_interval"))


def rpo_target_of(kind: str, settings: Settings) -> timedelta | None:
    """How old the newest proven backup of a type may be: the target, but never less than a type's own interval allows for."""
    if settings.rpo_target_hours is None:
        return None
    target = timedelta(hours=settings.rpo_target_hours)
    return target if kind == "database" else max(target, interval_of(kind, settings) * LATE)


def _now(repository: Repository) -> datetime:
    try:
        return repository.now
    except HoldfastError as error:  # a storage that is full, or that may only be read, can still be looked at
        _log.info("the storage's clock can't be asked, so this host's counts: %s", error)
        return datetime.now(UTC)


def _unseen(kind: BackupType, settings: Settings, known: Recorded | None) -> TypeOverview:
    return TypeOverview(
        kind,
        why_off(kind, settings),
        interval_of(kind, settings),
        failures=_failures(kind, known),
        rpo_target=rpo_target_of(kind, settings),
    )


def _failures(kind: str, known: Recorded | None) -> Failures:
    return Failures() if known is None else known.failures.get(kind, Failures())


def _newest(summaries: Sequence[BackupSummary], index: ProofIndex) -> Manifest | None:
    """The newest good backup of these, which are sorted."""
    return next((one.intact for one in summaries if one.intact is not None and not index.is_bad(one.intact)), None)


def _type(
    kind: BackupType,
    settings: Settings,
    *,
    created_at: datetime,
    summaries: Sequence[BackupSummary],
    index: ProofIndex,
    known: Recorded | None,
    now: datetime,
) -> TypeOverview:
    intact = [one.intact for one in summaries if one.intact is not None]
    newest = _newest(summaries, index)
    proven = next((one for one in intact if index.level(one) == "proven"), None)
    restore = next((found for one in intact if (found := measured_restore(one, index.proofs(one))) is not None), None)
    interval, off = interval_of(kind, settings), why_off(kind, settings)
    due_since = newest.snapshot_at if newest is not None else created_at
    return TypeOverview(
        kind,
        off,
        interval,
        count=len(intact),
        newest=_facts(newest, index),
        newest_is_bad=bool(summaries) and (summaries[0].intact is None or index.is_bad(summaries[0].intact)),
        proven=_facts(proven, index),
        history=tuple(facts for one in reversed(intact[:HISTORY]) if (facts := _facts(one, index)) is not None),
        restore=restore,
        overdue=off is None and now - due_since > interval * LATE,
        failures=_failures(kind, known),
        copies=None if known is None or newest is None else len(known.copies.get(newest.id, [])) or 1,
        rpo=None if proven is None else max(timedelta(), now - proven.snapshot_at),
        rpo_target=rpo_target_of(kind, settings),
        rto_seconds=None if restore is None or newest is None else restore.seconds_for(newest.size_bytes),
    )


def measured_restore(manifest: Manifest, proofs: Sequence[Proof]) -> MeasuredRestore | None:
    """Find the newest restore of a backup that was timed, by a drill or by a verification that restored all of it."""
    for proof in proofs:
        seconds, size = proof.figures.get("restoreSeconds"), proof.figures.get("restoredBytes")
        if proof.ok and isinstance(seconds, int | float) and isinstance(size, int):
            drill = bool(proof.figures.get("drill"))
            return MeasuredRestore(manifest.id, proof.finished_at, float(seconds), size, drill)
    return None


def _facts(manifest: Manifest | None, index: ProofIndex) -> BackupFacts | None:
    if manifest is None:
        return None
    return BackupFacts(
        manifest.id,
        manifest.snapshot_at,
        manifest.finished_at,
        manifest.size_bytes,
        manifest.stored_bytes,
        (manifest.finished_at - manifest.started_at).total_seconds(),
        index.level(manifest),
        index.is_bad(manifest),
        str(manifest.source.get("name") or manifest.source.get("database") or ""),
    )


def _storage(settings: Settings, repository: Repository, summaries: Sequence[BackupSummary]) -> StorageOverview:
    intact = [one.intact for one in summaries if one.intact is not None]
    stored = sum(one.stored_bytes for one in intact)
    capacity, used = settings.storage_capacity_bytes, stored
    if capacity is None and repository.location.startswith("file://"):
        disk = shutil.disk_usage(_folder(repository.location))
        capacity, used = disk.total, disk.total - disk.free
    percent = None if capacity is None else round(100 * used / capacity, 1)
    return StorageOverview(
        repository.location,
        sum(one.size_bytes for one in intact),
        stored,
        capacity,
        percent,
        percent is not None and percent >= settings.storage_full_percent,
    )


def _folder(location: str) -> Path:
    from holdfast.storage import StorageSettings

    path = StorageSettings.from_url(location).path
    if path is None:
        raise ValueError(f"{location} is not a folder")
    return path
