"""Prune: delete the chunks that no backup refers to. The only place in Holdfast where a chunk is ever deleted.

Under an exclusive lease, older than the grace period by the storage's clock, the exact list written down first, and the
lease made sure of between batches. If one manifest or list can't be read nobody knows what it refers to: nothing is deleted.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

from holdfast.errors import RefusedError, SettingsError
from holdfast.repository import canonical, names
from holdfast.repository.backups import Backups
from holdfast.repository.chunkset import ChunkSet
from holdfast.repository.lease import Lease
from holdfast.repository.masterkey import Kind
from holdfast.repository.presence import References
from holdfast.repository.sealed import SealedObjects

_BATCH = 500
_THREADS = 4


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What a prune deleted, or with `dry_run` would delete; `chunks_young` were spared by the grace period."""

    dry_run: bool
    chunks_deleted: int
    bytes_deleted: int
    chunks_kept: int
    bytes_kept: int
    chunks_young: int


def prune(sealed: SealedObjects, backups: Backups, lease: Lease, *, grace_seconds: float, dry_run: bool) -> PruneReport:
    """Delete what no backup refers to. Raises RefusedError naming what can't be read, LeaseLostError."""
    if grace_seconds < 0:
        raise SettingsError("the grace period can't be negative")
    references = _references(sealed, backups)
    lease.check()
    before = lease.renewed_at - timedelta(seconds=grace_seconds)
    doomed = ChunkSet()
    bytes_deleted = chunks_kept = bytes_kept = chunks_young = 0
    for info in sealed.storage.list(names.CHUNKS):
        chunk_id = names.chunk_id(info.name)
        if chunk_id is None:
            continue
        if chunk_id not in references.ids and info.modified <= before:
            doomed.add(chunk_id)
            bytes_deleted += info.size_bytes
            continue
        chunks_young += chunk_id not in references.ids
        chunks_kept += 1
        bytes_kept += info.size_bytes
    if not dry_run:
        _delete(sealed, lease, doomed)
        sealed.storage.tidy(before)
    return PruneReport(dry_run, len(doomed), bytes_deleted, chunks_kept, bytes_kept, chunks_young)


def _references(sealed: SealedObjects, backups: Backups) -> References:
    unreadable: dict[bytes, str] = {}
    references = References(sealed, unreadable.setdefault)
    for one in backups.list():
        if one.intact is None:
            raise _refused(names.manifest(one.type, one.id), one.damaged or "it can't be read")
        references.add(one.intact)
        for chunk_id, what in unreadable.items():
            raise _refused(f"{names.chunk(chunk_id)}, a chunk list of backup {one.id},", what)
    return references


def _refused(what: str, reason: str) -> RefusedError:
    return RefusedError(
        "prune was refused and nothing was deleted",
        reason=f"{what} can't be read ({reason}), so nobody knows which chunks it needs",
        next_step="Bring it back from a copy of the repository, or give that backup up with 'forget', then prune again",
    )


def _delete(sealed: SealedObjects, lease: Lease, doomed: ChunkSet) -> None:
    storage = sealed.storage
    # Lists of prunes that were cut short: what they named is in this run's list too, unless it is needed again.
    earlier = [info.name for info in storage.list(names.PRUNE)]
    if doomed:
        name = names.prune(canonical.now())
        sealed.put(Kind.PRUNE, name, b"".join(doomed))
        storage.sync()
        earlier.append(name)

    def delete(chunk_id: bytes) -> None:
        lease.check_locally()  # we may have slept since the check, and somebody may rely on the chunk by now
        storage.delete(names.chunk(chunk_id))

    with ThreadPoolExecutor(_THREADS, "holdfast-prune") as pool:
        for batch in _batches(doomed):
            lease.check()
            for _ in pool.map(delete, batch):
                pass
    storage.sync()
    for name in earlier:
        storage.delete(name)


def _batches(doomed: ChunkSet) -> Iterator[list[bytes]]:
    ids = iter(doomed)
    while batch := list(islice(ids, _BATCH)):
        yield batch
