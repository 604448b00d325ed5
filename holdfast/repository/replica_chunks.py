"""Copying the chunks that a replica lacks: by name and size, a few at once, in memory that does not grow with their content.

What was put last before an earlier replication died is looked into again: a loss of power may have left it damaged.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime

from holdfast.repository import names, sealing
from holdfast.repository.chunkset import ChunkSet, ChunkSizes
from holdfast.repository.replica_copy import GONE, ObjectCopy
from holdfast.storage import Storage

Progress = Callable[[int, int], None]  # chunks done, chunks to copy in all

_AT_TARGET = 0xFFFFFFFF  # in place of a size
_AHEAD = 16
_NEVER = datetime.min.replace(tzinfo=UTC)
_LOOKED_INTO_MAX = 1024  # of what came after the newest manifest; local storage makes batches of 512 durable


class ChunkCopy:
    """Copies chunks: first `want` them, or all there are, then `run`."""

    def __init__(self, source: Storage, target: Storage, copy: ObjectCopy, *, encrypted: bool) -> None:
        self._source = source
        self._target = target
        self._copy = copy
        self._report = copy.report
        self._shortest = sealing.overhead_bytes(encrypted)
        self._table = ChunkSizes()
        self._differing = ChunkSet()
        self._all_needed = False
        self.lacking = ChunkSet()  # what the target still has no good copy of
        self.copied = ChunkSet()

    def want(self, wanted: ChunkSet) -> None:
        """Copy these: backups need them, whether the source lists them or not."""
        self._all_needed = True
        for chunk_id in wanted:
            self._table.set(chunk_id, 0)
        for info in self._source.list(names.CHUNKS):
            listed = names.chunk_id(info.name)
            if listed is not None and listed in self._table:
                self._table.set(listed, _as_number(info.size_bytes))

    def want_all(self) -> None:
        """Copy all that the source lists, where nobody can tell which of them backups need."""
        for info in self._source.list(names.CHUNKS):
            chunk_id = names.chunk_id(info.name)
            if chunk_id is not None:
                self._table.set(chunk_id, _as_number(info.size_bytes))

    def run(self, threads: int, on_progress: Progress | None) -> None:
        """Copy what the target lacks; afterwards `lacking` and the report say what could not be."""
        present = self._look_at_target()
        self._report.present_objects += present
        total = len(self._table) - present
        under_way: deque[tuple[bytes, Future[str | None]]] = deque()
        done = 0
        with ThreadPoolExecutor(threads, "holdfast-replicate") as pool:
            try:
                for chunk_id, number in self._table:
                    if number == _AT_TARGET:
                        continue
                    bring = pool.submit(self._copy.bring, names.chunk(chunk_id), differs=chunk_id in self._differing)
                    under_way.append((chunk_id, bring))
                    if len(under_way) >= _AHEAD:
                        self._settle(*under_way.popleft())
                        done += 1
                        if on_progress is not None:
                            on_progress(done, total)
                while under_way:
                    self._settle(*under_way.popleft())
            finally:
                pool.shutdown(cancel_futures=True)
        if on_progress is not None:
            on_progress(total, total)
        self._table = ChunkSizes()  # a million chunks take 38 MB, and are not needed any more

    def _look_at_target(self) -> int:
        """Mark the chunks that need not be copied; return how many."""
        present = 0
        newest_manifest = max((info.modified for info in self._target.list(names.MANIFESTS)), default=_NEVER)
        recent: list[tuple[datetime, bytes]] = []
        for info in self._target.list(names.CHUNKS):
            chunk_id = names.chunk_id(info.name)
            size_bytes = self._table.get(chunk_id) if chunk_id is not None else None
            if chunk_id is None or size_bytes is None:
                continue
            if size_bytes not in (0, info.size_bytes) or info.size_bytes < self._shortest:
                self._differing.add(chunk_id)
                continue
            self._table.set(chunk_id, _AT_TARGET)
            present += 1
            if info.modified > newest_manifest:
                push = heapq.heappush if len(recent) < _LOOKED_INTO_MAX else heapq.heappushpop
                push(recent, (info.modified, chunk_id))
        for _, chunk_id in recent:
            if not self._copy.is_good_at_target(names.chunk(chunk_id)):
                self._differing.add(chunk_id)
                self._table.set(chunk_id, 0)
                present -= 1
        return present

    def bring_again(self, chunk_id: bytes) -> bool:
        """Copy a chunk in the place of what the target has; tell whether it is good there now."""
        what = self._copy.bring(names.chunk(chunk_id), differs=True)
        self._take_note(chunk_id, what)
        return what is None

    def _settle(self, chunk_id: bytes, bring: Future[str | None]) -> None:
        self._take_note(chunk_id, bring.result())

    def _take_note(self, chunk_id: bytes, what: str | None) -> None:
        if what is None:
            self.copied.add(chunk_id)
            return
        if what == GONE and not self._all_needed:
            return  # pruned meanwhile: no backup that is still there needs it
        self.lacking.add(chunk_id)
        self._report.add_problem(f"{names.chunk(chunk_id)} was not copied: {what}")


def _as_number(size_bytes: int) -> int:
    return min(size_bytes, _AT_TARGET - 1)
