"""Storing chunks: each content once, sealed, put if absent.

A chunk counts as stored when this run put it, when a live backup names it and storage lists it, or when it was found there and
its content proved right. One that was found and is damaged is set aside under damaged/ and stored afresh in its place.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime

from holdfast.errors import DamagedError, ObjectExistsError, ObjectLockedError, ObjectNotFoundError
from holdfast.repository import canonical, names, sealing
from holdfast.repository.chunkset import ChunkSet
from holdfast.repository.compression import Compression
from holdfast.repository.manifest import Manifest
from holdfast.repository.masterkey import Kind
from holdfast.repository.presence import References
from holdfast.repository.proven import read_proven
from holdfast.repository.sealed import SealedObjects

log = logging.getLogger(__name__)

_ONE_NEW_IN = 8
"""Where at most one chunk in so many had to be packed, the run has time to make these smaller."""

KNOWN_CHUNKS_MAX = 2_000_000  # about 2.4 TB of content; what is beyond is looked up at the storage


def learn_known_chunks(sealed: SealedObjects, newest_first: Iterable[Manifest]) -> ChunkSet:
    """Collect the chunks that need not be stored again: named by a backup, there, and not set aside since as damaged."""
    damaged_lists = ChunkSet()
    references = References(sealed, lambda chunk_id, _: damaged_lists.add(chunk_id))
    for manifest in newest_first:
        references.add(manifest)
        if len(references.ids) >= KNOWN_CHUNKS_MAX:
            break
    named = references.ids
    known = ChunkSet()
    if not named:
        return known
    suspects = set_aside_times(sealed)
    shortest = sealing.overhead_bytes(sealed.master is not None)
    for info in sealed.storage.list(names.CHUNKS):
        chunk_id = names.chunk_id(info.name)
        if chunk_id is None or chunk_id not in named or chunk_id in damaged_lists or info.size_bytes < shortest:
            continue
        if chunk_id in suspects and info.modified <= suspects[chunk_id]:
            continue
        known.add(chunk_id)
    return known


def set_aside_times(sealed: SealedObjects) -> dict[bytes, datetime]:
    """Tell when each chunk under damaged/ was last set aside. One that is newer in its place was stored afresh."""
    times: dict[bytes, datetime] = {}
    for info in sealed.storage.list(names.DAMAGED):
        chunk_id = names.damaged_chunk(info.name)
        if chunk_id is not None:
            times[chunk_id] = max(info.modified, times.get(chunk_id, info.modified))
    return times


def set_aside(sealed: SealedObjects, chunk_id: bytes, found: bytes) -> None:
    """Keep what was found of a damaged or missing chunk, and let no later backup take the chunk for stored."""
    name = names.damaged(chunk_id, canonical.now())
    try:
        sealed.storage.put(name, found)
    except ObjectExistsError:
        return  # somebody else found it in the same microsecond
    log.warning("%s is damaged; what was found is kept as %s", names.chunk(chunk_id), name)


@dataclass
class Stored:
    """What a run has added to the repository so far."""

    chunks: int = 0
    new_chunks: int = 0
    stored_bytes: int = 0


class ChunkStore:
    """Stores the chunks of one run, from several threads at once."""

    def __init__(self, sealed: SealedObjects, known: ChunkSet) -> None:
        self._sealed = sealed
        self._known = known
        self._under_way: dict[bytes, Future[None]] = {}
        self._packed_chunks = 0  # whether they turned out to be stored already or not
        self._lock = threading.Lock()
        self.stored = Stored()
        self.fresh = ChunkSet()  # where objects are locked: what this run put or found, which no earlier backup has locked

    def keep(self, plain: bytes | memoryview, how: Compression) -> bytes:
        """Make sure that this content is stored; return its chunk id."""
        chunk_id = self._sealed.chunk_id(plain)
        with self._lock:
            self.stored.chunks += 1
            if chunk_id in self._known:
                return chunk_id
            elsewhere = self._under_way.get(chunk_id)
            if elsewhere is None:
                mine = self._under_way[chunk_id] = Future()
                self._packed_chunks += 1
            if self.stored.chunks > _ONE_NEW_IN * self._packed_chunks:
                how = how.tighter
        if elsewhere is not None:
            elsewhere.result()  # another thread of this run stores the same content; if it can't, neither can we
            return chunk_id
        try:
            self._store(chunk_id, plain, how)
        except BaseException as error:
            with self._lock:
                del self._under_way[chunk_id]
            mine.set_exception(error)
            raise
        with self._lock:
            self._known.add(chunk_id)
            if self._sealed.storage.immutable_days:
                self.fresh.add(chunk_id)
            del self._under_way[chunk_id]
        mine.set_result(None)
        return chunk_id

    def _store(self, chunk_id: bytes, plain: bytes | memoryview, how: Compression) -> None:
        data = sealing.seal(Kind.CHUNK, chunk_id, plain, how, self._sealed.master)
        name = names.chunk(chunk_id)
        try:
            self._sealed.storage.put(name, data, bulk=True)
        except ObjectExistsError:
            if self._is_intact(chunk_id, name):
                return
            self._replace(name, data)
        with self._lock:
            self.stored.new_chunks += 1
            self.stored.stored_bytes += len(data)

    def _replace(self, name: str, data: bytes | bytearray) -> None:
        try:
            self._sealed.storage.put(name, data, replace=True, bulk=True)
        except ObjectLockedError as error:  # a storage without versions, which can't keep the old beside the new
            raise DamagedError(
                f"{name} is damaged and can't be stored afresh, so no backup can be made that needs it",
                reason=f"{error.reason or error.message}; BACKUP_IMMUTABLE_DAYS was set when it was stored",
                next_step="Back up to another place until its lock has ended; a replica may hold a good copy for restores",
            ) from error

    def _is_intact(self, chunk_id: bytes, name: str) -> bool:
        """Look at a chunk that is there and that no backup vouches for; a power loss may have left it damaged."""
        found = b""

        def prove(stored: bytes) -> None:
            nonlocal found
            found = stored
            self._sealed.unsealed_chunk(chunk_id, stored)

        try:
            read_proven(self._sealed.storage, name, prove)
        except ObjectNotFoundError:
            return False
        except ValueError:
            if not self._is_aside(chunk_id, found):
                set_aside(self._sealed, chunk_id, found)
            return False
        return True

    def _is_aside(self, chunk_id: bytes, found: bytes) -> bool:
        storage = self._sealed.storage
        return any(storage.get(info.name) == found for info in storage.list(f"{names.DAMAGED}/{chunk_id.hex()}"))
