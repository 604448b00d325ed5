"""What happened in the last days: attempts, failures, proofs, what was deleted, and how RPO and RTO were before.

The repository tells of backups, proofs and clean-ups, the catalog of attempts. Where one of them can't be asked, what it would
tell is None, and never zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.alarms import Judgement
    from holdfast.catalog import Catalog
    from holdfast.catalog.records import JobRecord, RestoreRecord
    from holdfast.overview import Overview
    from holdfast.repository import Manifest, Repository
    from holdfast.repository.cleanups import CleanupRecord
    from holdfast.repository.proof import Proof
    from holdfast.repository.proof_index import ProofIndex

_MOST_ROWS = 5000


@dataclass(frozen=True, slots=True)
class AttemptCounts:
    """How many attempts ended how."""

    completed: int = 0
    failed: int = 0
    cancelled: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """A backup or restore that failed."""

    what: str
    type: str
    job_id: str
    at: datetime
    error: str


@dataclass(frozen=True, slots=True)
class Proving:
    """What one verification or drill found of a backup; `seconds` is how long the restore took, where there was one."""

    backup_id: str
    type: str
    at: datetime
    level: str
    ok: bool
    drill: bool
    seconds: float | None
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Deletion:
    """What one clean-up forgot; `freed_bytes` None: it was cut short, or can't be read."""

    at: datetime
    backup_ids: tuple[str, ...]
    freed_bytes: int | None
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TypePeriod:
    """One type in these days: the backups of them that are there, and how it stood when they began."""

    type: str
    made: int = 0
    added_bytes: int = 0
    size_before: int | None = None
    rpo_before: timedelta | None = None
    rto_seconds_before: float | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """What the repository tells of these days."""

    types: tuple[TypePeriod, ...]
    proofs: tuple[Proving, ...]
    deletions: tuple[Deletion, ...]


@dataclass(frozen=True, slots=True)
class Logged:
    """What the catalog tells of them: attempts by type, restores, and each failure, the newest first."""

    backups: Mapping[str, AttemptCounts]
    restores: AttemptCounts
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class Period:
    """All of it, and how things stand at the end."""

    since: datetime
    overview: Overview
    judgement: Judgement
    kept: Kept | None
    logged: Logged | None
    next_runs: Mapping[str, datetime] = field(default_factory=dict)

    def of(self, kind: str) -> TypePeriod | None:
        """Return one type's; None where the repository could not be looked at."""
        return None if self.kept is None else next((one for one in self.kept.types if one.type == kind), None)


def kept_since(repository: Repository, since: datetime, overview: Overview) -> Kept:
    """Read from the repository what happened since. Raises what the storage raises."""
    index = repository.proof_index()
    intact = [one.intact for one in repository.backups() if one.intact is not None]
    of_type = {one.type: [manifest for manifest in intact if manifest.type == one.type] for one in overview.types}
    return Kept(
        tuple(_type(kind, manifests, index, since) for kind, manifests in of_type.items()),
        tuple(sorted(_proofs(intact, index, since), key=lambda one: one.at, reverse=True)),
        tuple(_deletion(record) for record in repository.cleanups.list(since)),
    )


def logged_since(catalog: Catalog, since: datetime) -> Logged:
    """Read from the catalog what was tried since. Raises what the catalog raises."""
    jobs, restores = catalog.jobs(since=since, limit=_MOST_ROWS), catalog.restores(since=since, limit=_MOST_ROWS)
    failures = [*_failures("backup", jobs), *_failures("restore", restores)]
    return Logged(
        {kind: _attempts([row for row in jobs if row.type == kind]) for kind in {row.type for row in jobs}},
        _attempts(restores),
        tuple(sorted(failures, key=lambda one: one.at, reverse=True)),
    )


def _type(kind: str, manifests: Sequence[Manifest], index: ProofIndex, since: datetime) -> TypePeriod:
    made = [one for one in manifests if one.finished_at >= since]
    before = [one for one in manifests if one.finished_at < since]
    proven = next((one for one in before if _was_proven(index.proofs(one), since)), None)
    return TypePeriod(
        kind,
        len(made),
        sum(one.stored_bytes for one in made),
        before[0].size_bytes if before else None,
        None if proven is None else max(timedelta(), since - proven.snapshot_at),
        _rto_before(before, index, since),
    )


def _was_proven(proofs: Sequence[Proof], at: datetime) -> bool:
    """Tell whether the proofs, newest first, that there were at a time said `proven`."""
    for proof in proofs:
        if proof.finished_at < at:
            if not proof.ok:
                return False
            if proof.level == "proven":
                return True
    return False


def _rto_before(before: Sequence[Manifest], index: ProofIndex, since: datetime) -> float | None:
    """Estimate as the overview does today, from what was known then."""
    from holdfast.overview import measured_restore

    for manifest in before:
        found = measured_restore(manifest, [proof for proof in index.proofs(manifest) if proof.finished_at < since])
        if found is not None:
            return found.seconds_for(before[0].size_bytes)
    return None


def _proofs(manifests: Sequence[Manifest], index: ProofIndex, since: datetime) -> Iterator[Proving]:
    for manifest in manifests:
        for proof in index.proofs(manifest):
            if proof.finished_at >= since:
                seconds = proof.figures.get("restoreSeconds")
                yield Proving(
                    manifest.id,
                    manifest.type,
                    proof.finished_at,
                    proof.level,
                    proof.ok,
                    bool(proof.figures.get("drill")),
                    float(seconds) if isinstance(seconds, int | float) else None,
                    tuple(proof.problems),
                )


def _deletion(record: CleanupRecord) -> Deletion:
    """What was planned counts for nothing; what was done is told, or that nobody knows it."""
    if record.done is None:
        return Deletion(record.at, (), None, (record.damaged or "it was cut short, so what it did is not known",))
    done = record.done
    return Deletion(
        record.at, tuple(done.get("forgotten", ())), int(done.get("freed_bytes") or 0), tuple(done.get("problems", ()))
    )


def _attempts(rows: Sequence[JobRecord] | Sequence[RestoreRecord]) -> AttemptCounts:
    ended = [row.status for row in rows]
    return AttemptCounts(ended.count("completed"), ended.count("failed"), ended.count("cancelled"))


def _failures(what: str, rows: Sequence[JobRecord] | Sequence[RestoreRecord]) -> Iterator[Failure]:
    for row in rows:
        if row.status == "failed":
            yield Failure(
                what, row.type, row.job_id, row.completed_at or row.started_at, row.error_message or "no reason is known"
            )
