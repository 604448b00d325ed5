"""The history of a repository as retention judges it: each backup with its time, source, level, pin and lock."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from holdfast.repository import BackupSummary, Level, Pin, Repository
from holdfast.repository.backups import Brief
from holdfast.repository.pins import later
from holdfast.retention import Attempt, Judged, KnownBackup, Refusal, Rules, judge

_APART = timedelta(days=1)
"""So far the clocks of a database, of the host that backs it up and of the storage may be apart."""

_THREADS = 8  # to overlap the waits of a storage that is far away
_AT_ONCE = 32  # backups that a thread asks for one after the other


@dataclass(frozen=True, slots=True)
class Primary:
    """What a replica's history must know of the primary: which backups it holds, and what is pinned there."""

    backups: Collection[str] = ()
    pins: Mapping[str, Pin] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class History:
    """The history of one repository, read from the storage itself by each call. `primary` is set for a replica.

    Nothing that was read before counts: a manifest that rotted in place would make others go in whose stead it can't be.
    Only within one clean-up what `summaries` gave serves for all that is asked of the same moment.
    """

    repository: Repository
    primary: Primary = Primary()

    def summaries(self) -> list[BackupSummary]:
        """Read every manifest that the storage holds now."""
        return self.repository.backups_afresh()

    def backups(self, summaries: Sequence[BackupSummary] | None = None) -> list[KnownBackup]:
        """Gather all, without their locks."""
        summaries = self.summaries() if summaries is None else summaries
        pins = self.repository.pin_records()
        levels = self.repository.verified_levels_afresh()
        return [self._known(one, pins.get(one.id), levels.get(one.id)) for one in summaries]

    def backup(self, known: KnownBackup) -> KnownBackup | None:
        """Look at one again, in the storage itself; None where it is gone."""
        summary = self.repository.look_again(known.type, known.id)
        if summary is None:
            return None
        return self._known(summary, self.repository.pin_record(known.id), self.repository.verified_level(known.id))

    def judged(
        self, rules: Rules, now: datetime, attempt: Attempt, summaries: Sequence[BackupSummary] | None = None
    ) -> tuple[Judged, list[Refusal]]:
        """Judge all. Only of those that would go the storage is asked for locks: that is a request each."""
        found = self.backups(summaries)
        first, refusals = judge(found, rules, now, attempt)
        doomed = [verdict.backup for verdict in first if verdict.goes]
        locked = self._locks(doomed)
        if not locked:
            return first, refusals
        return judge([replace(one, locked_until=locked.get(one.id)) for one in found], rules, now, attempt)

    def _locks(self, backups: Sequence[KnownBackup]) -> dict[str, datetime]:
        def ask(part: Sequence[KnownBackup]) -> list[tuple[str, datetime | None]]:
            return [(one.id, self.repository.locked_until(one.type, one.id)) for one in part]

        parts = [backups[at : at + _AT_ONCE] for at in range(0, len(backups), _AT_ONCE)]
        with ThreadPoolExecutor(_THREADS, "holdfast-history") as pool:
            found = [one for part in pool.map(ask, parts) for one in part]
        return {backup_id: until for backup_id, until in found if until is not None}

    def _known(self, summary: BackupSummary, pin: Pin | None, level: Level | None) -> KnownBackup:
        counts = later(pin, self.primary.pins.get(summary.id))
        manifest = summary.brief
        return KnownBackup(
            id=summary.id,
            type=summary.type,
            source=None if manifest is None else manifest.source,
            at=summary.stored_at if manifest is None else manifest.snapshot_at,
            level=None if manifest is None else level,
            damaged=None if manifest is not None else summary.damaged or "it can't be read",
            came_at=None if manifest is None else _came_at(manifest, summary.stored_at),
            pinned=str(counts) if counts is not None and counts.holds else None,
            in_primary=summary.id in self.primary.backups,
            checksum=None if manifest is None else manifest.checksum,
            stored_bytes=None if manifest is None else manifest.stored_bytes,
        )


def _came_at(manifest: Brief, stored_at: datetime) -> datetime | None:
    """Tell when a backup came where the database's clock is behind the host's, or the host's behind the storage's.

    A manifest that was copied or healed later looks the same: such a backup stays a little longer.
    """
    found = None
    if manifest.started_at - manifest.snapshot_at > _APART:
        found = manifest.started_at
    if stored_at - manifest.finished_at > _APART:
        found = stored_at
    return found
