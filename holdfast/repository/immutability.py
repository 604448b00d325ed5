"""Locks: what belongs to a backup can't be changed or deleted for some days, where the storage was asked for that.

Nothing is locked while it is uploaded, so a run that fails leaves nothing behind that prune could not delete. At the commit every
chunk that the backup refers to is locked, for a good while longer than need be; so the next backups find most of their chunks
locked for long enough, and lock only the others. Then the key files and repository.json, and the manifest last, once it is
sure to stay. All times are the storage's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from holdfast.errors import DamagedError, ObjectLockedError, ObjectNotFoundError
from holdfast.repository import canonical, names
from holdfast.repository.backups import Backups
from holdfast.repository.canonical import Json
from holdfast.repository.chunkset import ChunkSet
from holdfast.repository.chunkstore import set_aside_times
from holdfast.repository.lease import Lease
from holdfast.repository.manifest import Manifest, ManifestDraft
from holdfast.repository.presence import References
from holdfast.repository.sealed import SealedObjects
from holdfast.storage import Storage

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]  # objects done, objects in all

_THREADS = 16  # a lock is one short request, and nearly all of it is waiting
_BATCH = 1000
_BELIEVED = 3  # earlier backups of the same source whose locks are relied upon
_SLACK_MIN = timedelta(days=1)
_SLACK_PART = 4


@dataclass(frozen=True, slots=True)
class Term:
    """Until when a backup that is made now must stay, and until when what it needs is locked."""

    backup: datetime
    content: datetime

    @classmethod
    def of(cls, storage: Storage, now: datetime) -> Term:
        days = timedelta(days=storage.immutable_days)
        return cls(now + days, now + days + max(_SLACK_MIN, days / _SLACK_PART))


def lock_objects(
    storage: Storage,
    objects: Iterable[str],
    until: datetime,
    *,
    before_each: Callable[[], None] | None = None,
    on_progress: Progress | None = None,
    total: int = 0,
) -> None:
    """Lock many objects at once. Raises DamagedError naming one that is not there, and what `before_each` raises."""

    def lock(name: str) -> None:
        if before_each is not None:
            before_each()
        try:
            storage.lock(name, until)
        except ObjectNotFoundError as error:
            raise DamagedError(
                f"{name} can't be locked",
                reason=f"it is not in {storage.location} any more",
                next_step="Start again: what is missing is stored afresh",
            ) from error

    waiting, done = iter(objects), 0
    with ThreadPoolExecutor(_THREADS, "holdfast-lock") as pool:
        while batch := list(islice(waiting, _BATCH)):
            for _ in pool.map(lock, batch):
                done += 1
            if on_progress is not None:
                on_progress(done, max(done, total))


def lock_what_is_always_needed(storage: Storage, until: datetime) -> None:
    """Lock repository.json and the key files, without which no backup can be read."""
    keys = [info.name for info in storage.list(names.KEYS) if names.key_id(info.name) is not None]
    lock_objects(storage, [names.DESCRIPTION, *keys], until)


def lock_anew(storage: Storage, objects: Iterable[str]) -> None:
    """Lock what was put in place of something damaged or lost, as if a backup made now referred to it."""
    if storage.immutable_days:
        lock_objects(storage, objects, Term.of(storage, storage.clock()).content)


class BackupLocks:
    """Locks what one backup refers to, as far as no earlier backup has locked it for long enough."""

    def __init__(self, sealed: SealedObjects, backups: Backups, lease: Lease) -> None:
        self._sealed = sealed
        self._backups = backups
        self._lease = lease

    def begin(self) -> None:
        """Lock repository.json, so that a storage that can't lock is found out before anything is uploaded."""
        storage = self._sealed.storage
        if storage.immutable_days:
            storage.lock(names.DESCRIPTION, Term.of(storage, self._lease.renewed_at).content)

    def lock_content(self, draft: ManifestDraft, fresh: ChunkSet, on_progress: Progress | None) -> Json:
        """Lock all that the backup needs; return what its manifest is to say of that, nothing where nothing is locked.

        `fresh` are the chunks that this run put or found: no earlier backup's word counts for those.
        """
        storage = self._sealed.storage
        if not storage.immutable_days:
            return {}
        self._lease.check()
        term = Term.of(storage, self._lease.renewed_at)
        needed = References(self._sealed, _unreadable)
        for entry in draft.entries:
            for _ in needed.new_chunks(entry):
                pass
        locked, until = self._locked_before(draft, needed.ids, fresh, term)
        count = len(needed.ids) - len(locked)
        log.info("locking %d chunks until %s; %d are locked for long enough", count, term.content, len(locked))
        to_lock = (names.chunk(chunk_id) for chunk_id in needed.ids if chunk_id not in locked)
        lock_objects(storage, to_lock, term.content, before_each=self._lease.check_locally, on_progress=on_progress, total=count)
        lock_what_is_always_needed(storage, term.content)
        storage.sync()
        return {"locked_in": storage.location, "locked_until": canonical.time_text(until)}

    def _locked_before(self, draft: ManifestDraft, needed: ChunkSet, fresh: ChunkSet, term: Term) -> tuple[ChunkSet, datetime]:
        """Return those that earlier backups have locked for long enough, and when the first of all the locks will end."""
        suspects = set_aside_times(self._sealed)  # replaced since, perhaps, and then not locked
        locked, until = ChunkSet(), term.content
        for claim, manifest in self._believed(draft, term):
            references = References(self._sealed, lambda *_: None)
            references.add(manifest)
            for chunk_id in references.ids:
                if chunk_id in needed and chunk_id not in fresh and chunk_id not in suspects and locked.add(chunk_id):
                    until = min(until, claim)
        return locked, until

    def _believed(self, draft: ManifestDraft, term: Term) -> Iterator[tuple[datetime, Manifest]]:
        """Yield the earlier backups of this source whose content is locked for long enough, the longest locked first."""
        source = canonical.to_bytes(draft.source)
        intact = (one.intact for one in self._backups.list(draft.type) if one.intact is not None)
        same = (one for one in intact if canonical.to_bytes(one.source) == source)
        claims = ((content_locked_until(self._sealed.storage, one), one) for one in same)
        found = [(claim, one) for claim, one in claims if claim is not None and claim >= term.backup]
        yield from sorted(found, key=lambda pair: pair[0], reverse=True)[:_BELIEVED]


def content_locked_until(storage: Storage, manifest: Manifest) -> datetime | None:
    """Until when all that a backup refers to is locked here, as its manifest says; None where it was made elsewhere."""
    if manifest.parameters.get("locked_in") != storage.location:
        return None  # a copy in a replica: its locks are the replica's own, and the manifest says nothing of them
    try:
        return canonical.time_from(manifest.parameters["locked_until"])
    except (KeyError, TypeError, ValueError):
        return None


def lock_manifest(storage: Storage, manifest: Manifest, now: datetime | None = None) -> None:
    """Lock the manifest of a backup whose content is locked: from now on the backup can't be forgotten."""
    content = content_locked_until(storage, manifest) if storage.immutable_days else None
    if content is not None:
        until = min(content, Term.of(storage, now or storage.clock()).backup)
        storage.lock(names.manifest(manifest.type, manifest.id), until)


def refuse_to_forget_locked(storage: Storage, backup_type: str | None, backup_id: str, now: datetime) -> None:
    """Raises ObjectLockedError while the manifest of a backup is locked."""
    until = None if backup_type is None else storage.locked_until(names.manifest(backup_type, backup_id))
    if until is not None and until > now:
        raise ObjectLockedError(
            f"backup {backup_id} can't be forgotten before {until:%Y-%m-%d %H:%M:%S} UTC",
            reason="its manifest is locked until then, because BACKUP_IMMUTABLE_DAYS was set when it was made",
            next_step="Nothing was changed: try again after that",
        )


def _unreadable(chunk_id: bytes, what: str) -> None:
    raise DamagedError(
        f"{names.chunk(chunk_id)}, a chunk list of this backup, can't be read",
        reason=what,
        next_step="Run 'holdfast repo check', then start the backup again",
    )
