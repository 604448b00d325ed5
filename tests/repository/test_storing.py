"""What is backed up is what comes back, stored once, in bounded memory, whatever the source does."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.errors import DamagedError, RefusedError, SettingsError, WorkFailedError
from holdfast.repository import Compression, Repository, UserKey, replicate, sealing
from holdfast.repository.masterkey import Kind, MasterKey
from holdfast.storage import LocalStorage, MemoryStorage

from .making import ZSTD, back_up, noise, prose, read_all, text

MIB = 1 << 20


class Dribble:
    """A source that gives as many bytes as it likes, as a pipe does."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self._data = data
        self._sizes = sizes
        self._at = 0
        self._turn = 0

    def readinto(self, buffer: memoryview) -> int:
        size = min(self._sizes[self._turn % len(self._sizes)], len(buffer))
        self._turn += 1
        part = self._data[self._at : self._at + size]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)


class OnlyReads:
    """A source that has `read` and no `readinto`, and returns fewer bytes than it is asked for."""

    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)

    def read(self, size: int) -> bytes:
        return self._stream.read(min(size, 70_001))


@pytest.mark.parametrize(
    "compression", [Compression("gzip"), Compression("zstd"), Compression("none")], ids=lambda c: c.algorithm
)
def test_every_kind_of_content_comes_back(repository: Repository, compression: Compression) -> None:
    contents = {
        "empty": b"",
        "byte": b"x",
        "text": text(1, 3 * MIB),
        "noise": noise(2, 5 * MIB + 17),
        "zeros": bytes(9 * MIB),
        "twice": text(1, 3 * MIB) + text(1, 3 * MIB),
    }
    manifest = back_up(repository, "backup_1", contents, compression=compression)
    assert read_all(repository, manifest) == contents
    for entry in manifest.entries:
        content = contents[entry.name]
        assert (entry.size_bytes, entry.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        assert entry.lines == content.count(b"\n")
    assert manifest.size_bytes == sum(map(len, contents.values()))
    assert repository.check(level="read").ok


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(0, 5),
    st.sampled_from([0, 1, 1000, (1 << 18) - 1, 1 << 18, 3 * MIB, 9 * MIB + 5]),
    st.lists(st.one_of(st.integers(1, 5000), st.sampled_from([4096, 65536, MIB, 8 * MIB])), min_size=1, max_size=6),
)
def test_a_stream_is_cut_the_same_however_it_arrives(
    sealed_in_memory: Repository, seed: int, size: int, sizes: list[int]
) -> None:
    if max(sizes) < 1000 and size > MIB:
        sizes = [*sizes, 65536]  # one byte at a time takes long and shows no more
    data = noise(seed, size)
    with sealed_in_memory.lease("test") as lease, sealed_in_memory.writer(lease, compression=Compression("none")) as writer:
        whole = writer.store("a", "k", io.BytesIO(data))
        dribbled = writer.store("b", "k", Dribble(data, sizes))
        read = writer.store("c", "k", OnlyReads(data))
    assert whole.root == dribbled.root == read.root
    assert whole.sha256 == dribbled.sha256 == read.sha256 == hashlib.sha256(data).hexdigest()
    assert b"".join(sealed_in_memory.read(dribbled)) == data


@settings(max_examples=40)
@given(st.lists(st.integers(1, 3 * MIB), max_size=12))
def test_a_reader_gets_the_same_bytes_in_any_portions(portions: list[int]) -> None:
    repository, data, entry = _read_target()
    with repository.open_entry(entry) as stream:
        got = bytearray()
        for number, portion in enumerate(portions):
            if number % 2:
                got += stream.read(portion) or b""
            else:
                buffer = bytearray(portion)
                got += buffer[: stream.readinto(buffer)]
        rest = stream.readall()
    assert bytes(got) + rest == data


_cache: list[tuple] = []


def _read_target() -> tuple:
    if not _cache:
        repository = Repository.create(MemoryStorage(), key=None, encrypt=False)
        data = noise(3, 4 * MIB) + text(4, 3 * MIB)
        _cache.append((repository, data, back_up(repository, "backup_1", {"a": data}).entry("a")))
    return _cache[0]


def test_a_second_backup_of_the_same_content_stores_nothing(repository: Repository) -> None:
    contents = {"a": text(1, 6 * MIB), "b": noise(1, 2 * MIB)}
    first = back_up(repository, "backup_1", contents)
    second = back_up(repository, "backup_2", contents)
    assert first.new_chunks > 0
    assert (second.new_chunks, second.stored_bytes) == (0, 0)
    assert [entry.root for entry in second.entries] == [entry.root for entry in first.entries]


def test_a_small_change_stores_little(repository: Repository) -> None:
    data = noise(5, 24 * MIB)
    back_up(repository, "backup_1", {"a": data})
    changed = data[: 11 * MIB] + b"inserted" + data[11 * MIB :]
    second = back_up(repository, "backup_2", {"a": changed})
    assert second.stored_bytes < 9 * MIB
    assert read_all(repository, second) == {"a": changed}


def test_the_little_that_is_new_is_kept_in_fewer_bytes_than_in_a_first_backup() -> None:
    known, new = {"a": noise(5, 24 * MIB)}, {"b": prose(6, MIB)}
    without, beside = (Repository.create(MemoryStorage(), key=None, encrypt=False) for _ in range(2))  # both cut alike
    back_up(beside, "backup_1", known)
    first, second = back_up(without, "backup_1", new), back_up(beside, "backup_2", known | new)
    assert second.new_chunks == first.new_chunks
    assert second.stored_bytes < 0.97 * first.stored_bytes
    assert read_all(beside, second) == known | new


def test_what_is_found_at_the_storage_only_after_it_was_packed_is_packed_as_in_a_first_backup(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A first backup that died is made again: all is there, no manifest names it, and to pack it hard would be for nothing."""
    repository, data = Repository.create(MemoryStorage(), key=None, encrypt=False), noise(5, 24 * MIB)
    with repository.lease("backup") as lease, repository.writer(lease, compression=ZSTD) as writer:
        writer.store("a", "copy_text", io.BytesIO(data))
    packed: list[Compression] = []
    seal = sealing.seal

    def noted(
        kind: Kind, name: bytes, plain: bytes | memoryview, how: Compression, master: MasterKey | None
    ) -> bytearray | bytes:
        packed.extend([how] if kind == Kind.CHUNK else [])
        return seal(kind, name, plain, how, master)

    monkeypatch.setattr(sealing, "seal", noted)
    assert back_up(repository, "backup_1", {"a": data}).new_chunks == 0
    assert len(packed) > 9
    assert {how for how in packed if how.algorithm == "zstd"} == {ZSTD}


@pytest.mark.parametrize("level", [1, 2, 3, 19])
def test_a_level_that_was_asked_for_is_kept_for_all(level: int) -> None:
    assert Compression("zstd", level).tighter == Compression("zstd", level)
    assert Compression("gzip").tighter == Compression("gzip")


def test_content_that_only_an_old_backup_has_is_found_again(repository: Repository) -> None:
    """Only the newest lists are learnt by heart; older content is looked up, and not stored twice."""
    old = {"a": noise(1, 3 * MIB)}
    first = back_up(repository, "backup_0", old)
    for number in range(1, 5):
        back_up(repository, f"backup_{number}", {"a": b"%d" % number})
    again = back_up(repository, "backup_again", old)
    assert again.new_chunks == 0
    assert again.entry("a").root == first.entry("a").root


def test_content_is_shared_between_entries_types_and_compressions(repository: Repository) -> None:
    data = text(6, 4 * MIB)
    first = back_up(repository, "backup_1", {"a": data, "b": data})
    second = back_up(repository, "backup_2", {"c": data}, backup_type="config", compression=Compression("gzip"))
    assert first.entry("a").root == first.entry("b").root
    assert second.new_chunks == 0


def test_names_and_sizes_of_chunks_tell_nothing_without_the_key(key: UserKey) -> None:
    """Two encrypted repositories of the same content share no name and are cut elsewhere; no chunk is named by a plain digest."""
    data = noise(7, 12 * MIB)
    storages = [MemoryStorage(), MemoryStorage()]
    for storage in storages:
        back_up(Repository.create(storage, key=key), "backup_1", {"a": data})
    found = [{info.name: info.size_bytes for info in storage.list("chunks")} for storage in storages]
    assert not set(found[0]) & set(found[1])
    assert set(found[0].values()) != set(found[1].values())


def test_nothing_readable_is_stored_where_encryption_is_on(key: UserKey) -> None:
    storage = MemoryStorage()
    repository = Repository.create(storage, key=key, label="laptop")
    canary = b"CANARY-in-a-row"
    back_up(repository, "backup_1", {"table/public.canaries": canary * 1000}, compression=Compression("none"))
    for info in storage.list():
        data = storage.get(info.name)
        assert b"CANARY" not in data
        assert b"canaries" not in data


def test_many_streams_at_once_are_stored_whole(repository: Repository) -> None:
    contents = {f"t{number}": text(number, 2 * MIB) + noise(number % 3, 2 * MIB) for number in range(8)}
    with repository.lease("test") as lease, repository.writer(lease, compression=ZSTD) as writer, ThreadPoolExecutor(8) as pool:
        entries = list(pool.map(lambda item: writer.store(item[0], "k", io.BytesIO(item[1])), contents.items()))
    for entry in entries:
        assert b"".join(repository.read(entry)) == contents[entry.name]


class Fails(io.RawIOBase):
    """A source that breaks off."""

    def __init__(self, good: bytes) -> None:
        super().__init__()
        self._good = io.BytesIO(good)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = self._good.readinto(buffer)
        if not count:
            raise ConnectionResetError("the server went away")
        return count


def test_a_source_that_breaks_off_is_no_entry_and_the_writer_goes_on(repository: Repository) -> None:
    data = noise(9, 20 * MIB)
    with repository.lease("test") as lease, repository.writer(lease, compression=ZSTD) as writer:
        with pytest.raises(ConnectionResetError):
            writer.store("a", "k", Fails(data))
        before = writer.stored_bytes
        assert before > 0
        entry = writer.store("a", "k", io.BytesIO(data))
        assert writer.stored_bytes - before < len(data), "what was read before the break is not stored again"
    assert b"".join(repository.read(entry)) == data


def test_a_backup_that_was_not_committed_is_no_backup(repository: Repository) -> None:
    with repository.lease("test") as lease, repository.writer(lease, compression=ZSTD) as writer:
        writer.store("a", "k", io.BytesIO(text(1, MIB)))
    assert repository.backups() == []
    assert repository.check().ok
    again = back_up(repository, "backup_1", {"a": text(1, MIB)})
    assert again.new_chunks == 0, "the next run continues where this one stopped"


def test_progress_counts_up_to_the_whole_stream(sealed_in_memory: Repository) -> None:
    seen: list[int] = []
    with sealed_in_memory.lease("test") as lease, sealed_in_memory.writer(lease, compression=ZSTD) as writer:
        writer.store("a", "k", io.BytesIO(noise(1, 7 * MIB)), on_progress=seen.append)
        assert writer.chunks >= len(seen) > 1
    assert seen == sorted(seen)
    assert seen[-1] == 7 * MIB


def test_an_id_is_used_for_one_backup_only(repository: Repository) -> None:
    back_up(repository, "backup_1", {"a": b"1"})
    for backup_type in ("database", "config"):
        with pytest.raises(RefusedError, match="backup_1"):
            back_up(repository, "backup_1", {"a": b"2"}, backup_type=backup_type)
    assert read_all(repository, repository.manifest("backup_1")) == {"a": b"1"}
    assert len(repository.backups()) == 1


def test_a_draft_that_can_not_become_a_manifest_is_refused(sealed_in_memory: Repository) -> None:
    with pytest.raises(SettingsError, match="type"):
        back_up(sealed_in_memory, "backup_1", {}, backup_type="films")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="not a job id"):
        back_up(sealed_in_memory, "../escape", {})
    assert sealed_in_memory.backups() == []


def test_a_chunk_that_a_power_loss_left_damaged_is_stored_afresh_and_kept_aside(folder: Path, key: UserKey) -> None:
    storage = LocalStorage(folder)
    repository = Repository.create(storage, key=key)
    data = noise(11, 9 * MIB)  # more than two chunks, wherever it is cut
    with repository.lease("test") as lease, repository.writer(lease, compression=ZSTD) as writer:
        entry = writer.store("a", "k", io.BytesIO(data))  # never committed: no backup vouches for these chunks
    broken = sorted(storage.list("chunks"), key=lambda info: info.size_bytes)
    (folder / broken[0].name).write_bytes(b"")
    os.truncate(folder / broken[-1].name, 100)
    backup = back_up(repository, "backup_1", {"a": data})
    assert backup.new_chunks == 2
    assert read_all(repository, backup) == {"a": data}
    aside = {info.name.split("/")[1]: storage.get(info.name) for info in storage.list("damaged")}
    assert set(aside) == {broken[0].name.split("/")[-1], broken[-1].name.split("/")[-1]}
    assert sorted(map(len, aside.values())) == [0, 100]
    assert backup.entry("a").root == entry.root


def test_two_writers_at_once_store_the_same_content_once(folder: Path, key: UserKey) -> None:
    contents = {f"t{number}": text(number, 3 * MIB) for number in range(4)}
    Repository.create(LocalStorage(folder), key=key)
    start = threading.Barrier(2)

    def run(number: int) -> int:
        repository = Repository.open(LocalStorage(folder), key=key)
        start.wait()
        return back_up(repository, f"backup_{number}", contents).new_chunks

    with ThreadPoolExecutor(2) as pool:
        new_chunks = list(pool.map(run, range(2)))
    repository = Repository.open(LocalStorage(folder), key=key)
    assert sum(new_chunks) == len(list(LocalStorage(folder).list("chunks")))
    assert repository.check(level="read").ok
    for summary in repository.backups():
        assert read_all(repository, summary.manifest) == contents


def test_an_entry_whose_digest_is_another_is_never_read_to_its_end_as_good(sealed_in_memory: Repository) -> None:
    manifest = back_up(sealed_in_memory, "backup_1", {"a": noise(1, 9 * MIB)})
    entry = manifest.entry("a")
    for wrong in (
        replace(entry, sha256="0" * 64),
        replace(entry, size_bytes=entry.size_bytes - 1),
        replace(entry, size_bytes=entry.size_bytes + 1),
    ):
        with pytest.raises(DamagedError, match="'a' did not come back as it was stored"):
            b"".join(sealed_in_memory.read(wrong))
        with pytest.raises(DamagedError, match="'a' did not come back"):
            sealed_in_memory.open_entry(wrong).readall()


def test_a_reader_that_stops_early_leaves_no_thread_behind(sealed_in_memory: Repository) -> None:
    manifest = back_up(sealed_in_memory, "backup_1", {"a": noise(1, 8 * MIB)})
    before = threading.active_count()
    reading = sealed_in_memory.read(manifest.entry("a"))
    next(reading)
    reading.close()  # type: ignore[attr-defined]
    with sealed_in_memory.open_entry(manifest.entry("a")) as stream:
        stream.read(10)
    assert threading.active_count() == before


def test_memory_does_not_grow_with_the_data_or_the_number_of_streams(folder: Path) -> None:
    """Four streams of 200 MB each, then reading one back: the process stays far below what passes through it."""
    script = textwrap.dedent(f"""
        import io, re, sys
        from concurrent.futures import ThreadPoolExecutor
        from datetime import UTC, datetime
        from holdfast.repository import Compression, ManifestDraft, Repository, UserKey
        from holdfast.storage import LocalStorage

        class Source:
            def __init__(self, seed): self.left, self.n = 200_000_000, seed
            def readinto(self, buffer):
                size = min(len(buffer), self.left, 65536)
                self.n += 1
                buffer[:size] = (self.n.to_bytes(8, "big") * 8192)[:size]
                self.left -= size
                return size

        def peak():  # not ru_maxrss, which a child that was just forked has from its parent
            with open("/proc/self/status") as status:
                return int(re.search(r"VmHWM:\\s+(\\d+)", status.read())[1]) // 1024
        repository = Repository.create(LocalStorage({str(folder)!r}), key=UserKey.parse("11" * 32))
        start = peak()
        now = datetime.now(UTC)
        with repository.lease("t") as lease, repository.writer(lease, compression=Compression("zstd")) as writer:
            with ThreadPoolExecutor(4) as pool:
                entries = list(pool.map(lambda n: writer.store(f"t{{n}}", "k", Source(n << 40)), range(4)))
            writer.commit(ManifestDraft("backup_1", "database", {{}}, now, entries, {{}}, {{}}, {{}}, now))
        written = peak()
        for _ in repository.read(entries[0]): pass
        repository.check(level="read")
        print(start, written - start, peak() - written)
    """)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    _, writing_mib, reading_mib = map(int, done.stdout.split())
    assert 10 < writing_mib < 90
    assert reading_mib < 70


def test_a_full_disk_ends_a_backup_plainly_harms_no_other_and_can_be_pruned(tmp_path: Path) -> None:
    """A file system of 16 MiB in a mount namespace of its own, so that it is really full and goes with the process."""
    disk = tmp_path / "disk"
    disk.mkdir()
    script = textwrap.dedent(f"""
        import random, sys
        sys.path.insert(0, {str(Path(__file__).parents[1])!r})
        from repository.making import back_up, noise, read_all
        from holdfast.errors import StorageFullError
        from holdfast.repository import Repository, UserKey
        from holdfast.storage import LocalStorage
        repository = Repository.create(LocalStorage({str(disk)!r} + "/repository"), key=UserKey.parse("11" * 32))
        first = back_up(repository, "backup_1", {{"a": noise(1, 3_000_000)}})
        try:
            back_up(repository, "backup_2", {{"a": noise(2, 40_000_000)}})
        except StorageFullError as error:
            print(error)
        with open({str(disk)!r} + "/filler", "wb", buffering=0) as filler:  # not a block is left
            try:
                while filler.write(bytes(4096)): pass
            except OSError:
                pass
        assert [one.id for one in repository.backups()] == ["backup_1"]
        assert repository.check(level="read").ok
        assert read_all(repository, first) == {{"a": noise(1, 3_000_000)}}
        assert repository.leases() == []
        assert repository.prune(grace_seconds=0).bytes_deleted > 5_000_000
        third = back_up(repository, "backup_3", {{"a": noise(3, 4_000_000)}})
        assert read_all(repository, third) == {{"a": noise(3, 4_000_000)}}
        assert repository.check(level="read").ok
    """)
    command = f'mount -t tmpfs -o size=16m tmpfs "{disk}" && "{sys.executable}" -W error -c "$0"'
    as_user = [] if os.geteuid() == 0 else ["--map-root-user"]
    done = subprocess.run(
        ["unshare", "--mount", *as_user, "sh", "-c", command, script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "no space is left" in done.stdout


class _Overwriting(MemoryStorage):
    """A service that knows nothing of put-if-absent, as some that speak like S3 do."""

    def put(self, name: str, data: bytes | bytearray | memoryview, *, replace: bool = False, bulk: bool = False) -> None:
        super().put(name, data, replace=True, bulk=bulk)


def test_no_repository_or_replica_is_begun_where_objects_are_overwritten_unasked() -> None:
    storage = _Overwriting()
    key, _ = UserKey.generate()
    with pytest.raises(WorkFailedError, match="overwrote"):
        Repository.create(storage, key=key)
    assert not list(storage.list())
    source = MemoryStorage()
    Repository.create(source, key=key)
    with pytest.raises(WorkFailedError, match="overwrote"):
        replicate(source, storage)
    assert not Repository.exists(storage)
