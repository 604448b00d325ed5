"""The backups of a repository: list them, open their manifests, forget one.

A manifest that can't be opened is listed as damaged: never hidden, and never in the way of the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import orjson

from holdfast.errors import DamagedError, NotFoundError, ObjectNotFoundError
from holdfast.repository import canonical, names
from holdfast.repository.checks import Checks
from holdfast.repository.manifest import Manifest, Root
from holdfast.repository.masterkey import Kind
from holdfast.repository.record_cache import Kept, RecordCache
from holdfast.repository.sealed import SealedObjects
from holdfast.storage import ObjectInfo

T = TypeVar("T")

_THREADS = 8  # to overlap the waits of a storage that is far away
_AT_ONCE = 32  # manifests that a thread reads one after the other: handing over a single one would cost more than to read it


@dataclass(frozen=True, slots=True)
class Brief:
    """What lists need of a manifest; `source` is the canonical text of the manifest's own."""

    source: str
    snapshot_at: datetime
    started_at: datetime
    finished_at: datetime
    size_bytes: int
    stored_bytes: int
    checksum: str

    @classmethod
    def of(cls, manifest: Manifest) -> Brief:
        return cls(
            canonical.to_bytes(manifest.source).decode(),
            manifest.snapshot_at,
            manifest.started_at,
            manifest.finished_at,
            manifest.size_bytes,
            manifest.stored_bytes,
            manifest.checksum,
        )

    def to_list(self) -> list[Any]:
        """Describe it for a cache."""
        times = [canonical.time_text(moment) for moment in (self.snapshot_at, self.started_at, self.finished_at)]
        return [self.source, *times, self.size_bytes, self.stored_bytes, self.checksum]

    @classmethod
    def from_list(cls, kept: list[Any]) -> Brief:
        source, snapshot_at, started_at, finished_at, *rest = kept
        when = datetime.fromisoformat
        return cls(source, when(snapshot_at), when(started_at), when(finished_at), *rest)


class BackupSummary:
    """A backup in a list; `damaged` says why its manifest can't be opened. Of what a cache keeps it is opened when asked."""

    __slots__ = ("_brief", "_kept", "_manifest", "_open", "damaged", "id", "stored_at", "type")

    def __init__(
        self,
        info: ObjectInfo,
        *,
        manifest: Manifest | None = None,
        damaged: str | None = None,
        brief: Brief | None = None,
        kept: Kept | None = None,
        opened: Callable[[], Manifest] | None = None,
    ) -> None:
        self.type, self.id = names.manifest_parts(info.name) or ("", "")
        self.stored_at = info.modified
        self.damaged = damaged
        self._manifest = manifest
        self._brief = brief
        self._kept = kept
        self._open = opened

    @property
    def snapshot_at(self) -> datetime | None:
        if self._manifest is not None:
            return self._manifest.snapshot_at
        return self._brief.snapshot_at if self._brief is not None else None

    @property
    def brief(self) -> Brief | None:
        """What is in the manifest, in brief; None where it can't be opened."""
        if self._brief is None and self._manifest is not None:
            self._brief = Brief.of(self._manifest)
        return self._brief

    @property
    def intact(self) -> Manifest | None:
        if self._manifest is None and self._open is not None:
            try:
                self._manifest = self._open()
            except (DamagedError, ObjectNotFoundError) as error:  # neither the cache nor the storage has it whole any more
                self._open, self._kept, self._brief, self.damaged = None, None, None, error.reason or error.message
        return self._manifest

    @property
    def roots(self) -> list[Root] | None:
        """Where the content of its entries begins; None where the manifest can't be opened."""
        if self._manifest is None and self._kept is not None:
            with suppress(ValueError):  # the file of the cache is damaged: the manifest is opened as ever
                return [Root(**entry["root"]) for entry in orjson.loads(self._kept.content)["entries"]]
        return None if self.intact is None else [entry.root for entry in self.intact.entries]

    @property
    def manifest(self) -> Manifest:
        """Raises DamagedError."""
        if self.intact is None:
            raise DamagedError(f"the manifest of backup {self.id} is damaged", reason=self.damaged)
        return self.intact


class Backups:
    """The backups of one repository. Opened manifests are kept, for they never change; `cache` keeps them for other processes.

    Only lists ask the cache, and never about backups that the last check found bad: who opens one backup reads it from the
    storage, and what is found damaged is dropped from the cache. With `afresh` lists read every manifest from the storage, too;
    the cache may say what those very bytes hold, and nothing else.
    """

    def __init__(self, sealed: SealedObjects, cache: RecordCache | None = None, *, afresh: bool = False) -> None:
        self._sealed = sealed
        self.cache = cache
        self._afresh = afresh
        self._opened: dict[str, Manifest] = {}

    def list(self, backup_type: str | None = None) -> list[BackupSummary]:
        """List backups, newest first."""
        prefix = names.MANIFESTS if backup_type is None else f"{names.MANIFESTS}/{backup_type}"
        listed = [info for info in self._sealed.storage.list(prefix) if names.manifest_parts(info.name) is not None]
        doubted = self._doubted()
        known = {info.name: self._known(info, doubted) for info in listed}
        found = [one for one in known.values() if one is not None]
        unread = [info for info in listed if known[info.name] is None]
        with ThreadPoolExecutor(_THREADS, "holdfast-list") as pool:
            parts = [unread[at : at + _AT_ONCE] for at in range(0, len(unread), _AT_ONCE)]
            for read in pool.map(lambda part: [self._read(info) for info in part], parts):
                found += [one for one in read if one is not None]
        if self.cache is not None:
            self.cache.save(known if backup_type is None else None)
        return sorted(found, key=lambda one: (one.snapshot_at or one.stored_at, one.id), reverse=True)

    def find(self, backup_type: str, backup_id: str) -> BackupSummary | None:
        """Look at one backup; None where it is not there."""
        info = self._sealed.storage.head(names.manifest(backup_type, backup_id))
        found = self._read(info) if info is not None else None
        if self.cache is not None:
            self.cache.save()
        return found

    def newest_of_each_source(self, count: int) -> Iterator[Manifest]:
        """Yield the newest intact backups of every source, newest first."""
        seen: Counter[tuple[str, str]] = Counter()
        for one in self.list():
            if one.brief is not None:
                source = (one.type, one.brief.source)
                seen[source] += 1
                if seen[source] <= count:
                    yield one.manifest

    def _doubted(self) -> Collection[str]:
        """Name the backups of which nothing counts that was read before: what rotted in place looks as it did."""
        if self._afresh or (self.cache is None and not self._opened):
            return ()
        parts = Checks(self._sealed).parts()
        return () if parts is None else frozenset(parts.bad)

    def _known(self, info: ObjectInfo, doubted: Collection[str]) -> BackupSummary | None:
        """Tell of a manifest without reading it, where it was read before."""
        if info.name.rpartition("/")[2] in doubted:
            self._opened.pop(info.name, None)
            return None
        if info.name in self._opened:
            return BackupSummary(info, manifest=self._opened[info.name])
        kept = self.cache.find(info) if self.cache is not None and not self._afresh else None
        return None if kept is None else self._summary(info, kept)

    def _summary(self, info: ObjectInfo, found: Manifest | Kept) -> BackupSummary:
        if isinstance(found, Manifest):
            return BackupSummary(info, manifest=found)
        brief = Brief.from_list(found.brief)
        return BackupSummary(info, brief=brief, kept=found, opened=lambda: self._remember(info.name, found))

    def _remember(self, name: str, kept: Kept) -> Manifest:
        """Open what the cache keeps of a manifest. Raises as `open` does where the cache can't give it and the storage can't."""
        if isinstance(kept.opened, Manifest):
            return kept.opened
        try:
            manifest = Manifest.from_json(orjson.loads(kept.content))  # form and name were proven when it was read
        except ValueError:  # the file of the cache is damaged
            manifest = self._open(name)
        kept.opened = manifest
        return manifest

    def _read(self, info: ObjectInfo) -> BackupSummary | None:
        def own(stored: bytes) -> Manifest | Kept:
            kept = self.cache.recall(info, stored) if self.cache is not None else None
            return kept or self._learned(info, stored)

        try:
            return self._summary(info, self._fetched(info.name, own))
        except ObjectNotFoundError:
            return None  # forgotten between the listing and the reading
        except DamagedError as error:
            return BackupSummary(info, damaged=error.reason)

    def _learned(self, info: ObjectInfo, stored: bytes) -> Manifest:
        """Make a manifest out of the bytes that the storage holds, and remember what they say."""
        data = self._sealed.unsealed(Kind.MANIFEST, info.name, stored)
        manifest = self._opened[info.name] = manifest_of(info.name, data)
        if self.cache is not None:
            self.cache.learn(info, stored, Brief.of(manifest).to_list(), data)
        return manifest

    def _open(self, name: str) -> Manifest:
        def own(stored: bytes) -> Manifest:
            return manifest_of(name, self._sealed.unsealed(Kind.MANIFEST, name, stored))

        manifest = self._opened.get(name)
        if manifest is None:
            manifest = self._opened[name] = self._fetched(name, own)
        return manifest

    def _fetched(self, name: str, own: Callable[[bytes], T]) -> T | Manifest:
        """Read a manifest, with `own` of what the storage itself holds. Raises ObjectNotFoundError, DamagedError."""

        def from_spare(data: bytes) -> T | Manifest:
            self._drop(name)
            return manifest_of(name, data)

        try:
            return self._sealed.manifest(name, from_spare, own)
        except DamagedError:
            self._drop(name)
            raise

    def _drop(self, name: str) -> None:
        if self.cache is not None:
            self.cache.drop(name)

    def open(self, backup_type: str, backup_id: str) -> Manifest:
        """Open a manifest whose type is known. Raises ObjectNotFoundError, DamagedError."""
        try:
            return self._open(names.manifest(backup_type, backup_id))
        finally:
            if self.cache is not None:
                self.cache.save()

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
        intact = [one for one in found if one.damaged is None]
        newest_stored = max((one.stored_at for one in intact), default=datetime.min.replace(tzinfo=UTC))
        for one in found:
            if one.damaged is not None and one.stored_at >= newest_stored:
                raise _newest_is_damaged(backup_type, one.id, one.damaged)
        if not intact:
            raise NotFoundError(f"there is no {backup_type} backup", next_step=f"'holdfast backup {backup_type}' makes one")
        try:
            return self.open(backup_type, intact[0].id)  # as it is now, whatever a list has remembered
        except ObjectNotFoundError as error:
            raise NotFoundError(f"backup {intact[0].id} has just been forgotten", next_step="Try again") from error
        except DamagedError as error:
            raise _newest_is_damaged(backup_type, intact[0].id, error.reason) from error

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


def _newest_is_damaged(backup_type: str, backup_id: str, reason: str | None) -> DamagedError:
    return DamagedError(
        f"the newest {backup_type} backup, {backup_id}, is damaged",
        reason=reason,
        next_step="'holdfast list' shows older ones: name one to use it",
    )
