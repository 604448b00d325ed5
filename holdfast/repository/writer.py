"""Writing a backup: streams are cut by content, each chunk is stored once, and the manifest comes last.

Before the manifest is put, everything that it names is durable (and locked, where the storage locks), and the lease is known
to have held all the time.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from holdfast.errors import LeaseLostError, ObjectExistsError, RefusedError
from holdfast.repository import canonical, names
from holdfast.repository.backups import Backups
from holdfast.repository.canonical import Json
from holdfast.repository.chunkstore import ChunkStore, learn_known_chunks
from holdfast.repository.compression import Compression
from holdfast.repository.description import ChunkSizes
from holdfast.repository.immutability import BackupLocks, Progress, lock_manifest
from holdfast.repository.intake import Intake, Readable
from holdfast.repository.lease import Lease
from holdfast.repository.leases import Leases
from holdfast.repository.manifest import HOLDFAST_VERSION, Entry, Manifest, ManifestDraft
from holdfast.repository.masterkey import Kind
from holdfast.repository.presence import missing_chunks
from holdfast.repository.proof import Proofs
from holdfast.repository.sealed import SealedObjects

_LEARN_FROM = 3  # newest backups of each source; older content that comes back is looked up at the storage


class BackupWriter:
    """Stores the streams of one backup and commits it. Use as a context manager; leaving it without `commit` leaves no backup."""

    def __init__(
        self,
        sealed: SealedObjects,
        lease: Lease,
        *,
        leases: Leases,
        backups: Backups,
        proofs: Proofs,
        key_ids: Callable[[], list[str]],
        sizes: ChunkSizes,
        compression: Compression,
        threads: int = 2,
    ) -> None:
        self._sealed = sealed
        self._lease = lease
        self._leases = leases
        self._backups = backups
        self._proofs = proofs
        self._key_ids = key_ids
        self._locks = BackupLocks(sealed, backups, lease)
        self._locks.begin()
        self._chunks = ChunkStore(sealed, learn_known_chunks(sealed, backups.newest_of_each_source(_LEARN_FROM)))
        self._intake = Intake(
            self._chunks, lease, sizes=sizes, seed=sealed.chunker_seed, compression=compression, threads=threads
        )

    @property
    def stored_bytes(self) -> int:
        """How many bytes this backup has added to the storage so far."""
        return self._chunks.stored.stored_bytes

    @property
    def new_chunks(self) -> int:
        return self._chunks.stored.new_chunks

    @property
    def chunks(self) -> int:
        """How many chunks were looked at so far, stored before or not."""
        return self._chunks.stored.chunks

    def store(
        self,
        name: str,
        kind: str,
        source: Readable,
        *,
        on_progress: Callable[[int], None] | None = None,
        media: str = "application/octet-stream",
    ) -> Entry:
        """Store one stream to its end; may be called from several threads at once. `on_progress` is told the bytes so far."""
        taken = self._intake.take(source, on_progress=on_progress)
        return Entry(name, kind, taken.size_bytes, taken.sha256, taken.root, None, media)

    def commit(self, draft: ManifestDraft, *, on_progress: Progress | None = None) -> Manifest:
        """Make the backup exist. Where objects are locked, `on_progress` is told how many are, and of how many.

        Raises LeaseLostError when a prune may have taken what it needs, RefusedError for a taken id.
        """
        draft.check()
        self._sealed.storage.sync()
        locked = self._locks.lock_content(draft, self._chunks.fresh, on_progress)
        # Whoever finds this lease dead knows that a manifest without a proof is ours, cut short, and not a loss.
        self._lease.intend({"action": "commit", "backup_id": draft.id})
        manifest = self._put(self._manifest(draft, locked))
        self._sealed.storage.sync()
        try:
            self._lease.check()
        except LeaseLostError:
            self._withdraw_unless_complete(manifest)
        lock_manifest(self._sealed.storage, manifest, self._lease.renewed_at)
        self._proofs.add_receipt(manifest)
        with suppress(LeaseLostError):
            self._lease.intend(None)
        return manifest

    def close(self) -> None:
        self._intake.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _manifest(self, draft: ManifestDraft, locked: Json) -> Manifest:
        return Manifest(
            id=draft.id,
            type=draft.type,
            source=draft.source,
            snapshot_at=draft.snapshot_at,
            entries=list(draft.entries),
            tools=draft.tools,
            server=draft.server,
            parameters={**draft.parameters, **locked},
            started_at=draft.started_at,
            finished_at=canonical.now(),
            holdfast_version=HOLDFAST_VERSION,
            host=socket.gethostname(),
            stored_bytes=self.stored_bytes,
            new_chunks=self.new_chunks,
            key_ids=self._key_ids(),
            lease_token=self._lease.token,
        )

    def _put(self, manifest: Manifest) -> Manifest:
        name = names.manifest(manifest.type, manifest.id)
        for backup_type in names.BACKUP_TYPES:
            other = names.manifest(backup_type, manifest.id)
            if other != name and self._sealed.storage.head(other) is not None:
                raise RefusedError(f"there is a {backup_type} backup of the id {manifest.id!r} already")
        try:
            self._sealed.put(Kind.MANIFEST, name, manifest.to_bytes())
        except ObjectExistsError as error:
            found = self._backups.open(manifest.type, manifest.id)
            if (found.lease_token, found.started_at, found.entries) == (
                manifest.lease_token,
                manifest.started_at,
                manifest.entries,
            ):
                return found  # our own: a commit that is tried again because the answer to the first was lost
            raise RefusedError(f"there is a backup of the id {manifest.id!r} already", next_step="Use a new id") from error
        return manifest

    def _withdraw_unless_complete(self, manifest: Manifest) -> None:
        """The lease lapsed around the commit: a prune may have run. Keep the backup only if it can't have lost anything."""
        if not self._leases.someone_excludes() and not missing_chunks(self._sealed, manifest):
            return
        self._sealed.storage.delete(names.manifest(manifest.type, manifest.id))
        self._sealed.storage.sync()
        raise LeaseLostError(
            f"backup {manifest.id} was withdrawn",
            reason="its lease lapsed while it was committed, and a prune may have taken chunks that it needs",
            next_step="Start it again",
        )
