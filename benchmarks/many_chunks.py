"""`python -m benchmarks.many_chunks start|prune|check COUNT`: work on a repository that seems to hold so many chunks.

Manifest and chunk lists are real and lie in memory. Only the listing of the data chunks is made up, one object at a time, so that
the double takes no memory itself; a tenth of the chunks belongs to no backup. Each process measures one thing and prints it.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from benchmarks.memory import peak_bytes
from holdfast.repository import Compression, Entry, ManifestDraft, Repository, UserKey, names, sealing
from holdfast.repository.chunklist import ChunkList
from holdfast.repository.masterkey import Kind
from holdfast.storage import MemoryStorage, ObjectInfo
from holdfast.storage.wrapped import WrappedStorage

WORKS = {"start": "a new backup's start", "prune": "prune", "check": "check, level stored"}
_KEY = UserKey.parse("22" * 32)
_ZSTD = Compression("zstd")
_CHUNK_BYTES = 1_250_000
_STORED_BYTES = 500_000
_LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)


class Simulated(WrappedStorage):
    """Lists data chunks that are nowhere beside what there is."""

    def __init__(self, inner: MemoryStorage, chunks: int) -> None:
        super().__init__(inner)
        self._chunks = chunks
        self.deleted = 0

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        yield from super().list(prefix)
        if prefix == names.CHUNKS:
            for number in range(self._chunks):
                yield ObjectInfo(names.chunk(_id(number)), _STORED_BYTES, _LONG_AGO)

    def delete(self, name: str) -> None:
        self.deleted += name.startswith(names.CHUNKS)
        super().delete(name)


def _id(number: int) -> bytes:
    return hashlib.sha256(number.to_bytes(8, "big")).digest()


def _made(chunks: int) -> Simulated:
    """Make the repository: one backup whose only stream has so many chunks, and a tenth as many beside."""
    storage = MemoryStorage()
    repository = Repository.create(storage, key=_KEY)
    sealed = repository.sealed_in(storage)

    def keep(content: bytes) -> bytes:
        chunk_id = sealed.chunk_id(content)
        storage.put(names.chunk(chunk_id), sealing.seal(Kind.CHUNK, chunk_id, content, _ZSTD, sealed.master))
        return chunk_id

    stream = ChunkList(keep)
    for number in range(chunks):
        stream.add(_id(number), _CHUNK_BYTES)
    entry = Entry("public.articles", "copy_text", chunks * _CHUNK_BYTES, "00" * 32, stream.finish())
    with repository.lease("backup") as lease, repository.writer(lease, compression=_ZSTD) as writer:
        now = datetime.now(UTC)
        writer.commit(ManifestDraft("backup_1", "database", {"name": "many"}, now, [entry], {}, {}, {}, now))
    return Simulated(storage, chunks + chunks // 10)


def _work(what: str, storage: Simulated, chunks: int) -> None:
    repository = Repository.open(storage, key=_KEY)
    if what == "start":
        with repository.lease("backup") as lease, repository.writer(lease, compression=_ZSTD):
            pass
    elif what == "prune":
        report = repository.prune(grace_seconds=60)
        assert report.chunks_deleted == storage.deleted == chunks // 10, report
    else:
        found = repository.check(level="stored")
        assert found.ok, found.problems[:3]
        assert found.chunks > chunks


def main() -> None:
    """Measure one work; the peak is the process's own, with all that it imported and the chunk lists in memory."""
    what, chunks = sys.argv[1], int(sys.argv[2])
    storage = _made(chunks)
    before = peak_bytes()
    began, cpu = time.perf_counter(), time.process_time()
    _work(what, storage, chunks)
    took = {"wall_seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu}
    json.dump({"work": what, "chunks": chunks, **took, "peak_bytes": peak_bytes(), "peak_before_bytes": before}, sys.stdout)


if __name__ == "__main__":
    main()
