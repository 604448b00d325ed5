"""Which chunks backups refer to, and which of those are there. Prune, check and commit all ask here.

A list chunk that several backups share is read once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from holdfast.errors import DamagedError, ObjectNotFoundError
from holdfast.repository import chunklist, names, sealing
from holdfast.repository.chunkset import ChunkSet
from holdfast.repository.manifest import Entry, Manifest, Root
from holdfast.repository.sealed import SealedObjects

ListFailed = Callable[[bytes, str], object]
ListElsewhere = Callable[[bytes], bytes | None]


class References:
    """The chunks that backups refer to: data and lists. `on_damage` is told a list chunk that can't be read, and why.

    `elsewhere` may know a good copy of such a list chunk; then what it names counts too.
    """

    def __init__(self, sealed: SealedObjects, on_damage: ListFailed, elsewhere: ListElsewhere | None = None) -> None:
        self._sealed = sealed
        self._on_damage = on_damage
        self._elsewhere = elsewhere
        self._lists_seen = ChunkSet()
        self.ids = ChunkSet()

    def add(self, manifest: Manifest) -> None:
        """Add all chunks of a backup."""
        self.add_roots(entry.root for entry in manifest.entries)

    def add_roots(self, roots: Iterable[Root]) -> None:
        """Add all chunks of the entries that begin there."""
        for root in roots:
            if root.depth == 0:
                self.ids.add(root.chunk_id)
                continue
            for _ in self._visit(root.chunk_id, 0, root.depth):
                pass

    def new_chunks(self, entry: Entry) -> Iterator[chunklist.Record]:
        """Yield id and length of the data chunks of an entry that nobody referred to before."""
        yield from self._visit(entry.root.chunk_id, entry.size_bytes, entry.root.depth)

    def _visit(self, chunk_id: bytes, length: int, depth: int) -> Iterator[chunklist.Record]:
        is_new = self.ids.add(chunk_id)
        if depth == 0:
            if is_new:
                yield chunk_id, length
            return
        if not self._lists_seen.add(chunk_id):
            return
        for record_id, record_length in self._list(chunk_id):
            yield from self._visit(record_id, record_length, depth - 1)

    def _list(self, chunk_id: bytes) -> list[chunklist.Record]:
        try:
            return list(chunklist.records(self._sealed.chunk(chunk_id)))
        except ObjectNotFoundError:
            self._on_damage(chunk_id, "it is missing")
        except DamagedError as error:
            self._on_damage(chunk_id, error.reason or "it can't be read")
        except ValueError as error:
            self._on_damage(chunk_id, str(error))
            return []  # it is right, and no list: no copy can be better
        copy = self._elsewhere(chunk_id) if self._elsewhere is not None else None
        return list(chunklist.records(copy)) if copy is not None else []


def present_chunks(sealed: SealedObjects, wanted: ChunkSet) -> ChunkSet:
    """List the storage and return those of the wanted chunks that are there, and long enough to be whole."""
    shortest = sealing.overhead_bytes(sealed.master is not None)
    present = ChunkSet()
    for info in sealed.storage.list(names.CHUNKS):
        chunk_id = names.chunk_id(info.name)
        if chunk_id is not None and chunk_id in wanted and info.size_bytes >= shortest:
            present.add(chunk_id)
    return present


def missing_chunks(sealed: SealedObjects, manifest: Manifest) -> list[bytes]:
    """Return the chunks of a backup that are not there, or are lists that can't be read."""
    unreadable: list[bytes] = []
    references = References(sealed, lambda chunk_id, _: unreadable.append(chunk_id))
    references.add(manifest)
    present = present_chunks(sealed, references.ids)
    return unreadable + [chunk_id for chunk_id in references.ids if chunk_id not in present]
