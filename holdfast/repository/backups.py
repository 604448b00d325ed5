"""The backups of a repository: list them, open their manifests, forget one.

A manifest that can't be opened is listed as damaged: never hidden, and never in the way of the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from holdfast.errors import DamagedError, NotFoundError, ObjectNotFoundError
from holdfast.repository import canonical, names
from holdfast.repository.manifest import Manifest
from holdfast.repository.sealed import SealedObjects
from holdfast.storage import ObjectInfo

_THREADS = 8  # to overlap the waits of a storage that is far away


@dataclass(frozen=True, slots=True)
class BackupSummary:
    """A backup in a list; `damaged` says why its manifest can't be opened."""

    id: str
    type: str
    stored_at: datetime
    intact: Manifest | None
    damaged: str | None = None

    @property
    def snapshot_at(self) -> datetime | None:
        return self.intact.snapshot_at if self.intact else None

    @property
    def manifest(self) -> Manifest:
        """Raises DamagedError."""
        if self.intact is None:
            raise DamagedError(f"the manifest of backup {self.id} is damaged", reason=self.damaged)
        return self.intact


class Backups:
    """The backups of one repository. Opened manifests are kept, for they never change."""

    def __init__(self, sealed: SealedObjects) -> None:
        self._sealed = sealed
        self._opened: dict[str, Manifest] = {}

    def list(self, backup_type: str | None = None) -> list[BackupSummary]:
        """List backups, newest first."""
        prefix = names.MANIFESTS if backup_type is None else f"{names.MANIFESTS}/{backup_type}"
        with ThreadPoolExecutor(_THREADS, "holdfast-list") as pool:
            found = [one for one in pool.map(self._summary, self._sealed.storage.list(prefix)) if one is not None]
        return sorted(found, key=lambda one: (one.snapshot_at or one.stored_at, one.id), reverse=True)

    def find(self, backup_type: str, backup_id: str) -> BackupSummary | None:
        """Look at one backup; None where it is not there."""
        info = self._sealed.storage.head(names.manifest(backup_type, backup_id))
        return self._summary(info) if info is not None else None

    def newest_of_each_source(self, count: int) -> Iterator[Manifest]:
        """Yield the newest intact backups of every source, newest first."""
        seen: Counter[tuple[str, bytes]] = Counter()
        for one in self.list():
            if one.intact is not None:
                source = (one.type, canonical.to_bytes(one.intact.source))
                seen[source] += 1
                if seen[source] <= count:
                    yield one.intact

    def _summary(self, info: ObjectInfo) -> BackupSummary | None:
        parts = names.manifest_parts(info.name)
        if parts is None:
            return None
        try:
            return BackupSummary(parts[1], parts[0], info.modified, self.open(*parts))
        except ObjectNotFoundError:
            return None  # forgotten between the listing and the reading
        except DamagedError as error:
            return BackupSummary(parts[1], parts[0], info.modified, None, error.reason)

    def open(self, backup_type: str, backup_id: str) -> Manifest:
        """Open a manifest whose type is known. Raises ObjectNotFoundError, DamagedError."""
        name = names.manifest(backup_type, backup_id)
        if name not in self._opened:
            self._opened[name] = self._sealed.manifest(name, lambda data: manifest_of(name, data))
        return self._opened[name]

    def manifest(self, backup_id: str) -> Manifest:
        """Open the manifest of a backup. Raises NotFoundError, DamagedError."""
        backup_type = self.type_of(backup_id) or self._type_of_lost(backup_id)
        if backup_type is None:
            raise NotFoundError(f"there is no backup {backup_id!r}", next_step="'holdfast list' shows the backups")
        try:
            return self.open(backup_type, backup_id)
        except ObjectNotFoundError as error:
            raise NotFoundError(f"there is no backup {backup_id!r}") from error

    def latest(self, backup_type: str) -> Manifest:
        """Open the newest backup of a type. Raises NotFoundError, DamagedError (rather than silently take an older one)."""
        found = self.list(backup_type)
        intact = [one for one in found if one.intact is not None]
        newest_stored = max((one.stored_at for one in intact), default=datetime.min.replace(tzinfo=UTC))
        for one in found:
            if one.damaged is not None and one.stored_at >= newest_stored:
                raise DamagedError(
                    f"the newest {backup_type} backup, {one.id}, is damaged",
                    reason=one.damaged,
                    next_step="'holdfast list' shows older ones: name one to use it",
                )
        if not intact:
            raise NotFoundError(f"there is no {backup_type} backup", next_step=f"'holdfast backup {backup_type}' makes one")
        return intact[0].manifest

    def type_of(self, backup_id: str) -> str | None:
        """Find the type of a backup by its name alone, so that it works for a damaged manifest too."""
        for backup_type in names.BACKUP_TYPES:
            if self._sealed.storage.head(names.manifest(backup_type, backup_id)) is not None:
                return backup_type
        return None

    def _type_of_lost(self, backup_id: str) -> str | None:
        """Find the type of a backup whose manifest is gone, as its proofs tell, and that a replica still has."""
        if self._sealed.spares is not None and any(True for _ in self._sealed.storage.list(names.proofs(backup_id))):
            for backup_type in names.BACKUP_TYPES:
                with suppress(ObjectNotFoundError, DamagedError):
                    self.open(backup_type, backup_id)
                    return backup_type
        return None

    def forget(self, backup_id: str) -> bool:
        """Delete the proofs, then the manifest; return whether there was anything."""
        storage = self._sealed.storage
        backup_type = self.type_of(backup_id)
        proofs = [info.name for info in storage.list(names.proofs(backup_id))]
        for name in proofs:
            storage.delete(name)
        storage.sync()  # a manifest without proofs is a forget that was cut short; the other way round means loss
        if backup_type is not None:
            name = names.manifest(backup_type, backup_id)
            storage.delete(name)
            self._opened.pop(name, None)
        storage.sync()
        return bool(proofs) or backup_type is not None


def manifest_of(name: str, data: bytes) -> Manifest:
    """Read the manifest that was stored under a name. Raises ValueError saying what is wrong."""
    manifest = Manifest.from_bytes(data)
    if (manifest.type, manifest.id) != names.manifest_parts(name):
        raise ValueError("it is the manifest of another backup")
    return manifest
