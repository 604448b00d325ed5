"""Checking the chunks of backups: all there (`stored`), and every one read, decrypted and its hash compared (`read`)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from holdfast.errors import DamagedError, ObjectNotFoundError, StorageUnreachableError
from holdfast.repository import chunklist, names
from holdfast.repository.chunkset import ChunkSet
from holdfast.repository.chunkstore import set_aside, set_aside_times
from holdfast.repository.healing import Healing
from holdfast.repository.manifest import Entry, Manifest
from holdfast.repository.presence import References, present_chunks
from holdfast.repository.report import CheckReport
from holdfast.repository.sealed import SealedObjects

Progress = Callable[[int, int], None]  # chunks done, chunks in all

_AHEAD = 16
_HEALED_AT_ONCE = 64
_UNREADABLE_IN_A_ROW_MAX = 5  # after that it is the storage that fails, not an object


class ChunkCheck:
    """Checks the chunks that some backups refer to, each once."""

    def __init__(
        self, sealed: SealedObjects, manifests: list[Manifest], report: CheckReport, healing: Healing | None = None
    ) -> None:
        self._sealed = sealed
        self._manifests = manifests
        self._report = report
        self._healing = healing
        self._bad: dict[bytes, str] = {}
        self._copies: dict[bytes, str] = {}
        self._lists_lost = False
        self._unreadable_in_a_row = 0

    def run(self, *, threads: int = 2, on_progress: Progress | None = None, all_there_is: bool = False) -> None:
        """Check, and add what is wrong to the report; with `all_there_is`, also the chunks that nobody is known to need."""
        references = References(self._sealed, self._note, self._spare_list)
        for manifest in self._manifests:
            references.add(manifest)
        self._report.chunks = len(references.ids)
        all_there_is = all_there_is or self._lists_lost
        self._check_presence(references.ids)
        if self._report.level == "read":
            self._read(self._wanted(), threads, on_progress)
            if all_there_is:
                self._read(self._unreferenced(references.ids), threads, None)
        if self._report.level != "read" or self._report.subset is not None:
            self._read(self._suspects(references.ids), threads, None)
        if self._bad and self._healing is not None:
            self._heal(self._healing, threads)
        if self._bad:
            self._add_problems()

    def set_bad_aside(self) -> None:
        """Keep what was found of bad chunks, so that the next backup stores them afresh."""
        known = set_aside_times(self._sealed)
        for chunk_id in self._bad:
            info = self._sealed.storage.head(names.chunk(chunk_id))
            if chunk_id in known and (info is None or info.modified <= known[chunk_id]):
                continue
            try:
                found = b"" if info is None else self._sealed.storage.get(info.name)
            except (ObjectNotFoundError, StorageUnreachableError):
                found = b""
            set_aside(self._sealed, chunk_id, found)
            self._report.chunks_set_aside += 1

    def _note(self, chunk_id: bytes, what: str) -> None:
        self._bad.setdefault(chunk_id, what)

    def _spare_list(self, chunk_id: bytes) -> bytes | None:
        """What a list that is bad here should say, as a replica knows; else nobody knows what it names."""
        copy = self._healing.spare_list(chunk_id) if self._healing is not None else None
        self._lists_lost |= copy is None
        return copy

    def _heal(self, healing: Healing, threads: int) -> None:
        """Have good copies put in the place of bad chunks; of those that stay bad, note where a good copy is."""
        bad = iter(list(self._bad))
        with ThreadPoolExecutor(threads, "holdfast-heal") as pool:
            while batch := list(islice(bad, _HEALED_AT_ONCE)):
                healed = []
                for chunk_id, copy in zip(batch, pool.map(healing.chunk, batch), strict=True):
                    if copy is not None and copy.healed:
                        healed.append(names.chunk(chunk_id))
                        self._report.add_healed(healed[-1], self._bad.pop(chunk_id), copy.replica)
                    elif copy is not None:
                        self._copies[chunk_id] = copy.remark
                if healed:
                    healing.finish(healed)

    def _check_presence(self, wanted: ChunkSet) -> None:
        present = present_chunks(self._sealed, wanted)
        if len(present) < len(wanted):
            for chunk_id in wanted:
                if chunk_id not in present:
                    there = self._sealed.storage.head(names.chunk(chunk_id))
                    self._note(chunk_id, "it is cut off" if there else "it is missing")

    def _wanted(self) -> Iterator[chunklist.Record]:
        """Walk again, now for the data chunks; the lists were read by the first walk."""
        references = References(self._sealed, self._note, self._spare_list)
        for manifest in self._manifests:
            for entry in manifest.entries:
                for chunk_id, length in references.new_chunks(entry):
                    if self._in_subset(chunk_id):
                        yield chunk_id, length

    def _suspects(self, referenced: ChunkSet) -> Iterator[chunklist.Record]:
        """What was set aside once and is not read anyway: nothing counts as mended because nobody looked."""
        reads_some = self._report.level == "read"
        for chunk_id in set_aside_times(self._sealed):
            if chunk_id in referenced and not (reads_some and self._in_subset(chunk_id)):
                yield chunk_id, -1

    def _unreferenced(self, referenced: ChunkSet) -> Iterator[chunklist.Record]:
        """What a list or manifest that can't be read may have named."""
        for info in self._sealed.storage.list(names.CHUNKS):
            chunk_id = names.chunk_id(info.name)
            if chunk_id is not None and chunk_id not in referenced and self._in_subset(chunk_id):
                yield chunk_id, -1

    def _in_subset(self, chunk_id: bytes) -> bool:
        part, parts = self._report.subset or (1, 1)
        return int.from_bytes(chunk_id[:8], "big") % parts == part - 1

    def _read(self, wanted: Iterator[chunklist.Record], threads: int, on_progress: Progress | None) -> None:
        under_way: deque[tuple[bytes, Future[tuple[int, str | None]]]] = deque()
        total = self._report.chunks // (self._report.subset or (1, 1))[1]
        with ThreadPoolExecutor(threads, "holdfast-check") as pool:
            try:
                for chunk_id, length in wanted:
                    if chunk_id in self._bad:
                        continue
                    under_way.append((chunk_id, pool.submit(self._verify, chunk_id, length)))
                    if len(under_way) >= _AHEAD:
                        self._settle(*under_way.popleft())
                        if on_progress is not None:
                            on_progress(min(self._report.chunks_read, total), total)
                while under_way:
                    self._settle(*under_way.popleft())
                if on_progress is not None:
                    on_progress(total, total)
            finally:
                pool.shutdown(cancel_futures=True)

    def _settle(self, chunk_id: bytes, future: Future[tuple[int, str | None]]) -> None:
        size_bytes, what = future.result()
        self._report.chunks_read += 1
        self._report.bytes_read += size_bytes
        if what is not None:
            self._note(chunk_id, what)

    def _verify(self, chunk_id: bytes, length: int) -> tuple[int, str | None]:
        try:
            plain = self._sealed.chunk(chunk_id)
        except ObjectNotFoundError:
            return 0, "it is missing"
        except DamagedError as error:
            return 0, error.reason or "it can't be read"
        except StorageUnreachableError as error:
            self._unreadable_in_a_row += 1
            if self._unreadable_in_a_row > _UNREADABLE_IN_A_ROW_MAX:
                raise
            return 0, f"the storage can't read it ({error.reason})"
        self._unreadable_in_a_row = 0
        if length not in (-1, len(plain)):
            return len(plain), f"it holds {len(plain)} bytes and its list says {length}"
        return len(plain), None

    def _add_problems(self) -> None:
        """Find out whom each bad chunk concerns; only now, for it takes a walk over every entry."""
        concerned: dict[bytes, tuple[set[str], set[str]]] = {chunk_id: (set(), set()) for chunk_id in self._bad}
        for manifest in self._manifests:
            for entry in manifest.entries:
                for chunk_id in self._all_chunks(entry):
                    if chunk_id in concerned:
                        concerned[chunk_id][0].add(manifest.id)
                        concerned[chunk_id][1].add(entry.name)
        for chunk_id, what in self._bad.items():
            backups, entries = (tuple(sorted(found)) for found in concerned[chunk_id])
            copy = self._copies.get(chunk_id)
            text = what if copy is None else f"{what}; {copy}"
            self._report.add(names.chunk(chunk_id), text, backups=backups, entries=entries, harms_content=copy is None)

    def _all_chunks(self, entry: Entry) -> Iterator[bytes]:
        references = References(self._sealed, lambda *_: None, self._spare_list)
        for _ in references.new_chunks(entry):
            pass
        return iter(references.ids)
