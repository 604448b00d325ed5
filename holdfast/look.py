"""One look at the repository and at what the catalog has recorded, for everything that tells how things stand.

Alarms, dashboard, metrics, report and `status` all take it from here, so that no two of them say different things.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from holdfast.backup_types import TYPES, why_off
from holdfast.errors import HoldfastError
from holdfast.objectives import LATE, interval_of, rpo_target_of, rto_target_seconds
from holdfast.overview import (
    BackupFacts,
    Failures,
    MeasuredRestore,
    Overview,
    Recorded,
    StorageOverview,
    TypeOverview,
    measured_restore,
)
from holdfast.stored import stored_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.repository import BackupSummary, BackupType, Manifest, Repository
    from holdfast.repository.proof_index import ProofIndex
    from holdfast.settings import Settings

HISTORY = 30
"""How many of the newest backups of each type are told one by one."""

AskRecorded = Callable[[Sequence[str]], Recorded | None]
"""Is given the ids of the newest backups; returns None where the catalog does not answer."""

_log = logging.getLogger(__name__)


def look_over(
    settings: Settings,
    repository: Repository | None,
    recorded: AskRecorded = lambda _: None,
    next_runs: Mapping[str, datetime] | None = None,
) -> Overview:
    """Look at everything once. Without a repository only what is recorded is told.

    `next_runs` says for the types with a schedule when it is their turn. Raises what the storage raises.
    """
    found = _unseen(settings, recorded([])) if repository is None else _Look(settings, repository, recorded).overview()
    due = next_runs or {}
    return replace(found, types=tuple(replace(one, next_run=due.get(one.type)) for one in found.types))


class _Look:
    """A look at an open repository: what is listed once, for all types. Of thousands of manifests only the newest are opened."""

    def __init__(self, settings: Settings, repository: Repository, recorded: AskRecorded) -> None:
        self._settings = settings
        self._repository = repository
        self._now = _now(repository)
        self._summaries = repository.backups()
        self._index = repository.proof_index()
        newest = [self._index.newest_good(self._of_type(kind)) for kind in TYPES]
        self._known = recorded([one.id for one in newest if one is not None])

    def overview(self) -> Overview:
        return Overview(
            self._now,
            self._settings.target,
            tuple(self._type(kind) for kind in TYPES),
            _storage(self._settings, self._repository, self._summaries),
            seen=True,
            recorded=self._known is not None,
            rto_target_seconds=rto_target_seconds(self._settings),
            plans=() if self._known is None else self._known.plans,
        )

    def _of_type(self, kind: BackupType) -> list[BackupSummary]:
        return [one for one in self._summaries if one.type == kind]

    def _type(self, kind: BackupType) -> TypeOverview:
        summaries, index = self._of_type(kind), self._index
        listed = [one for one in summaries if one.brief is not None]
        newest = index.newest_good(summaries)
        proven = next((whole for one in listed if index.level(one) == "proven" and (whole := one.intact) is not None), None)
        restore = self._restore(listed)
        return replace(
            _expected(kind, self._settings, self._known),
            count=len(listed),
            newest=None if newest is None else _facts(newest, index),
            newest_is_bad=bool(summaries) and (summaries[0].intact is None or index.is_bad(summaries[0].intact)),
            proven=None if proven is None else _facts(proven, index),
            history=tuple(_facts(one.intact, index) for one in reversed(listed[:HISTORY]) if one.intact is not None),
            restore=restore,
            overdue=self._is_overdue(kind, newest),
            copies=self._copies(newest),
            rpo=None if proven is None else max(timedelta(), self._now - proven.snapshot_at),
            rto_seconds=None if restore is None or newest is None else restore.seconds_for(newest.size_bytes),
        )

    def _restore(self, listed: Sequence[BackupSummary]) -> MeasuredRestore | None:
        """Find the newest backup whose restore was timed."""
        timed = (measured_restore(one, self._index.proofs(one)) for one in listed)
        return next((found for found in timed if found is not None), None)

    def _is_overdue(self, kind: BackupType, newest: Manifest | None) -> bool:
        due_since = newest.snapshot_at if newest is not None else self._repository.created_at
        late = self._now - due_since > interval_of(kind, self._settings) * LATE
        return late and why_off(kind, self._settings) is None

    def _copies(self, newest: Manifest | None) -> int | None:
        if self._known is None or newest is None:
            return None
        return len(self._known.copies.get(newest.id, [])) or 1


def _unseen(settings: Settings, known: Recorded | None) -> Overview:
    """Tell what is known without a repository."""
    return Overview(
        datetime.now(UTC),
        settings.target,
        tuple(_expected(kind, settings, known) for kind in TYPES),
        None,
        seen=False,
        recorded=known is not None,
        rto_target_seconds=rto_target_seconds(settings),
        plans=() if known is None else known.plans,
    )


def _expected(kind: BackupType, settings: Settings, known: Recorded | None) -> TypeOverview:
    """Say what the settings ask of a type, and what is recorded of it."""
    return TypeOverview(
        kind,
        why_off(kind, settings),
        interval_of(kind, settings),
        failures=Failures() if known is None else known.failures.get(kind, Failures()),
        rpo_target=rpo_target_of(kind, settings),
    )


def _now(repository: Repository) -> datetime:
    try:
        return repository.now
    except HoldfastError as error:  # a storage that is full, or that may only be read, can still be looked at
        _log.info("the storage's clock can't be asked, so this host's counts: %s", error)
        return datetime.now(UTC)


def _facts(manifest: Manifest, index: ProofIndex) -> BackupFacts:
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
    listed = [one.brief for one in summaries if one.brief is not None]
    stored = stored_bytes(repository, listed)
    capacity, used = settings.storage_capacity_bytes, stored
    if capacity is None and repository.location.startswith("file://"):
        disk = shutil.disk_usage(_folder(repository.location))
        capacity, used = disk.total, disk.total - disk.free
    percent = None if capacity is None else round(100 * used / capacity, 1)
    return StorageOverview(
        repository.location,
        sum(one.size_bytes for one in listed),
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
