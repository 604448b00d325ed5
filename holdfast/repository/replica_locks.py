"""Locks in a replica that makes backups immutable: what a copied backup needs is locked by the replica's own terms.

What the manifest says of locks is true of the source alone. So a proof at the replica says until when all that the backup needs
is locked there, and later copies of backups of the same source lock only what no such proof speaks of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import islice

from holdfast.repository import canonical, names
from holdfast.repository.chunkset import ChunkSet
from holdfast.repository.chunkstore import set_aside_times
from holdfast.repository.immutability import Term, lock_objects, lock_what_is_always_needed
from holdfast.repository.manifest import Manifest
from holdfast.repository.presence import References
from holdfast.repository.proof import Proofs
from holdfast.repository.sealed import SealedObjects

_BELIEVED = 3  # earlier backups of the same source whose locks are relied upon
_ASKED = 10


class ReplicaLocks:
    """Locks what copied backups need. `fresh` are the chunks that were just copied: no earlier proof counts for those."""

    def __init__(self, sealed: SealedObjects, fresh: ChunkSet, before_each: Callable[[], None]) -> None:
        self._sealed = sealed
        self._fresh = fresh
        self._before_each = before_each
        self._proofs = Proofs(sealed)

    def lock_content(self, manifest: Manifest, earlier: Iterable[Manifest], now: datetime) -> datetime:
        """Lock all chunks of a backup; return until when they are. `earlier` are copies of the same source's, newest first."""
        term = Term.of(self._sealed.storage, now)
        locked, until = self._locked_before(earlier, term)
        needed = References(self._sealed, lambda *_: None)
        needed.add(manifest)
        to_lock = (names.chunk(chunk_id) for chunk_id in needed.ids if chunk_id not in locked)
        lock_objects(self._sealed.storage, to_lock, term.content, before_each=self._before_each)
        lock_what_is_always_needed(self._sealed.storage, term.content)
        return until

    def are_recorded(self, manifest: Manifest) -> bool:
        """Tell whether the backup was locked here before, however long ago."""
        return self._claim(manifest) is not None

    def lock_manifest(self, manifest: Manifest, until: datetime, now: datetime) -> None:
        """Lock the manifest of a copy, and write down until when all that it needs is locked."""
        storage = self._sealed.storage
        storage.lock(names.manifest(manifest.type, manifest.id), min(until, Term.of(storage, now).backup))
        figures = {"locked_in": storage.location, "locked_until": canonical.time_text(until)}
        self._proofs.add(manifest, "stored", ok=True, problems=[], figures=figures, started_at=canonical.now())

    def _locked_before(self, earlier: Iterable[Manifest], term: Term) -> tuple[ChunkSet, datetime]:
        suspects = set_aside_times(self._sealed)
        locked, until = ChunkSet(), term.content
        claims = ((self._claim(manifest), manifest) for manifest in islice(earlier, _ASKED))
        for claim, manifest in islice(((claim, one) for claim, one in claims if claim and claim >= term.backup), _BELIEVED):
            references = References(self._sealed, lambda *_: None)
            references.add(manifest)
            for chunk_id in references.ids:
                if chunk_id not in self._fresh and chunk_id not in suspects and locked.add(chunk_id):
                    until = min(until, claim)
        return locked, until

    def _claim(self, manifest: Manifest) -> datetime | None:
        """Until when all that an earlier copy needs is locked here, as the newest proof of it says."""
        for proof in self._proofs.list(manifest.id):
            if proof.ok and proof.figures.get("locked_in") == self._sealed.storage.location:
                return canonical.time_from(proof.figures["locked_until"])
        return None
