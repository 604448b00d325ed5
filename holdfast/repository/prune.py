"""Prune: delete the chunks that no backup refers to. The only place in Holdfast where a chunk is ever deleted.

Under an exclusive lease, older than the grace period by the storage's clock, the exact list written down first, and the
lease made sure of between batches. If one manifest or list can't be read nobody knows what it refers to: nothing is deleted.
What is locked is spared, and counted, until its lock has ended.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice, repeat
from typing import TypeVar

from holdfast.errors import ObjectLockedError, RefusedError, SettingsError
from holdfast.repository import canonical, names
from holdfast.repository.backups import BackupSummary
from holdfast.repository.chunkset import ChunkSet
from holdfast.repository.lease import Lease
from holdfast.repository.masterkey import Kind
from holdfast.repository.presence import References
from holdfast.repository.sealed import SealedObjects
from holdfast.storage import ObjectInfo, Storage

T = TypeVar("T")

_BATCH = 500
_THREADS = 4
_ASKING_THREADS = 16


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What a prune deleted, or with `dry_run` would delete; of those kept, `chunks_young` were spared by the grace period.

    `chunks_locked` were spared because they are locked; the first of them can be deleted at `locked_until`.
    """

    dry_run: bool
    chunks_deleted: int
    bytes_deleted: int
    chunks_kept: int
    bytes_kept: int
    chunks_young: int
    chunks_locked: int = 0
    bytes_locked: int = 0
    locked_until: datetime | None = None


def prune(
    sealed: SealedObjects,
    backups: Iterable[BackupSummary],
    lease: Lease,
    *,
    grace_seconds: float,
    dry_run: bool,
    without: Collection[str] = (),
) -> PruneReport:
    """Delete what none of these backups refers to, which are all that there are; they were read while the lease was held.

    Only with `dry_run` may some count as forgotten, or have been read before. Raises RefusedError naming what can't be read,
    LeaseLostError.
    """
    if grace_seconds < 0:
        raise SettingsError("the grace period can't be negative")
    if without and not dry_run:
        raise ValueError("a backup that is still there can't count as forgotten while chunks are deleted")
    references = _references(sealed, backups, frozenset(without))
    lease.check()
    before = lease.renewed_at - timedelta(seconds=grace_seconds)
    census = _Census(sealed.storage, references.ids, before=before, now=lease.renewed_at)
    census.take()
    if not dry_run:
        _delete(sealed, lease, census)
        sealed.storage.tidy(before)
    return census.report(dry_run=dry_run)


def _references(sealed: SealedObjects, backups: Iterable[BackupSummary], without: frozenset[str]) -> References:
    unreadable: dict[bytes, str] = {}
    references = References(sealed, unreadable.setdefault)
    for one in backups:
        if one.id in without:
            continue
        roots = one.roots
        if roots is None:
            raise _refused(names.manifest(one.type, one.id), one.damaged or "it can't be read")
        references.add_roots(roots)
        for chunk_id, what in unreadable.items():
            raise _refused(f"{names.chunk(chunk_id)}, a chunk list of backup {one.id},", what)
    return references


def _refused(what: str, reason: str) -> RefusedError:
    return RefusedError(
        "prune was refused and nothing was deleted",
        reason=f"{what} can't be read ({reason}), so nobody knows which chunks it needs",
        next_step="Bring it back from a replica ('holdfast repo check --repair'), or give that backup up "
        "('holdfast repo forget'), then prune again",
    )


class _Census:
    """Tells the chunks that are to be deleted from those that stay, and counts both."""

    def __init__(self, storage: Storage, needed: ChunkSet, *, before: datetime, now: datetime) -> None:
        self._storage = storage
        self._needed = needed
        self._before = before
        self._now = now
        self.doomed = ChunkSet()
        self._spared = ChunkSet()
        self._doomed_bytes = self._kept = self._kept_bytes = self._young = self._locked_bytes = 0
        self._unlocked_at: datetime | None = None

    def take(self) -> None:
        """Look at every chunk there is; ask for the locks of those alone that would be deleted."""
        with ThreadPoolExecutor(_ASKING_THREADS, "holdfast-prune") as pool:
            for batch in _batches(self._old_and_unneeded()):
                asked = [info.name for info in batch]
                ends = pool.map(self._storage.locked_until, asked) if self._storage.immutable_days else repeat(None)
                for info, end in zip(batch, ends, strict=False):
                    if end is not None and end > self._now:
                        self._spare(info, end)
                    else:
                        self.doomed.add(_id(info))
                        self._doomed_bytes += info.size_bytes

    def spare_after_all(self, chunk_id: bytes) -> None:
        """Count as kept what the storage has refused to delete: it was locked when more was locked than is today."""
        name = names.chunk(chunk_id)
        info = self._storage.head(name)
        if info is not None:
            self._doomed_bytes -= info.size_bytes
            self._spare(info, self._storage.locked_until(name))

    def report(self, *, dry_run: bool) -> PruneReport:
        return PruneReport(
            dry_run=dry_run,
            chunks_deleted=sum(chunk_id not in self._spared for chunk_id in self.doomed) if self._spared else len(self.doomed),
            bytes_deleted=self._doomed_bytes,
            chunks_kept=self._kept,
            bytes_kept=self._kept_bytes,
            chunks_young=self._young,
            chunks_locked=len(self._spared),
            bytes_locked=self._locked_bytes,
            locked_until=self._unlocked_at,
        )

    def _old_and_unneeded(self) -> Iterator[ObjectInfo]:
        for info in self._storage.list(names.CHUNKS):
            chunk_id = names.chunk_id(info.name)
            if chunk_id is None:
                continue
            if chunk_id not in self._needed and info.modified <= self._before:
                yield info
                continue
            self._young += chunk_id not in self._needed
            self._keep(info)

    def _spare(self, info: ObjectInfo, end: datetime | None) -> None:
        self._spared.add(_id(info))
        self._locked_bytes += info.size_bytes
        self._unlocked_at = min((one for one in (self._unlocked_at, end) if one is not None), default=None)
        self._keep(info)

    def _keep(self, info: ObjectInfo) -> None:
        self._kept += 1
        self._kept_bytes += info.size_bytes


def _id(info: ObjectInfo) -> bytes:
    return bytes.fromhex(info.name.rpartition("/")[2])


def _delete(sealed: SealedObjects, lease: Lease, census: _Census) -> None:
    storage = sealed.storage
    # Lists of prunes that were cut short: what they named is in this run's list too, unless it is needed again.
    earlier = [info.name for info in storage.list(names.PRUNE)]
    if census.doomed:
        name = names.prune(canonical.now())
        sealed.put(Kind.PRUNE, name, b"".join(census.doomed))
        storage.sync()
        earlier.append(name)

    def delete(chunk_id: bytes) -> bytes | None:
        lease.check_locally()  # we may have slept since the check, and somebody may rely on the chunk by now
        try:
            storage.delete(names.chunk(chunk_id))
        except ObjectLockedError:
            return chunk_id
        return None

    with ThreadPoolExecutor(_THREADS, "holdfast-prune") as pool:
        for batch in _batches(census.doomed):
            lease.check()
            for refused in pool.map(delete, batch):
                if refused is not None:
                    census.spare_after_all(refused)
    storage.sync()
    for name in earlier:
        storage.delete(name)


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    waiting = iter(items)
    while batch := list(islice(waiting, _BATCH)):
        yield batch
