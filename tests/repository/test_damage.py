"""Damage done to every single object: check names each one, reading refuses it, and the next backup heals it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.errors import DamagedError, HoldfastError, ObjectNotFoundError, StorageUnreachableError
from holdfast.repository import CheckReport, Compression, ReadParts, Repository, UserKey, check_storage
from holdfast.storage import LocalStorage, MemoryStorage, Storage

from .making import back_up, noise, one_bit_off, read_all, text

CONTENTS = {
    "backup_1": {"base": text(1, 400_000), "table/a": noise(1, 300_000), "empty": b""},
    "backup_2": {"base": text(1, 400_000) + b"more", "table/a": noise(1, 300_000), "big": noise(2, 900_000)},
    "backup_3": {"config": text(3, 2000)},
}

_OTHER_KEY = UserKey.parse("22" * 32)

Objects = dict[str, bytes]


def _small_repository(storage: Storage, key: UserKey | None) -> Repository:
    """Two database backups and one of configuration; keys, one of them removed; proofs later than receipts; a pin, a clean-up."""
    repository = Repository.create(storage, key=key, encrypt=key is not None)
    if key is not None:
        repository.keys.add(_OTHER_KEY, "second")
        removed = repository.keys.add(UserKey.parse("33" * 32), "third")
        repository.keys.remove(removed.id)
    for backup_id, contents in CONTENTS.items():
        how = Compression("gzip" if backup_id == "backup_1" else "zstd")
        manifest = back_up(
            repository, backup_id, contents, compression=how, backup_type="config" if "config" in contents else "database"
        )
        for level in ("read", "restored"):
            repository.add_proof(manifest.id, level, ok=True, problems=[], figures={"rows": 1}, started_at=manifest.started_at)
    repository.pin("backup_1", "for the auditors")
    name = repository.cleanups.put_plan({"schema": 1}, repository.now)
    repository.cleanups.put_done(name, {"schema": 1})
    repository.checks.put(ReadParts.none(7, repository.now))
    return repository


@pytest.fixture(scope="module", params=["encrypted", "plain"])
def pristine(request: pytest.FixtureRequest) -> tuple[UserKey | None, Objects]:
    key = UserKey.parse("11" * 32) if request.param == "encrypted" else None
    storage = MemoryStorage()
    assert _small_repository(storage, key).check(level="read").ok
    return key, {info.name: storage.get(info.name) for info in storage.list()}


def _storage_with(objects: Objects) -> Storage:
    storage = MemoryStorage()
    for name, data in objects.items():
        storage.put(name, data)
    return storage


def _flips(objects: Objects) -> Iterator[tuple[str, bytes]]:
    for name, data in objects.items():
        for at in {0, 7, 15, 20, len(data) // 2, len(data) - 1}:
            if at < len(data):
                yield name, data[:at] + bytes([data[at] ^ 0x20]) + data[at + 1 :]


def _truncations(objects: Objects) -> Iterator[tuple[str, bytes]]:
    for name, data in objects.items():
        for length in {0, 16, len(data) // 2, len(data) - 1}:
            if length < len(data):
                yield name, data[:length]


def _swaps(objects: Objects) -> Iterator[tuple[str, str]]:
    """Every object with every other of its own folder, and with one of each other folder."""
    seen: set[tuple[str, str]] = set()
    for one, other in itertools.combinations(sorted(objects), 2):
        kinds = (one.split("/")[0], other.split("/")[0])
        if kinds[0] == kinds[1] or kinds not in seen:
            seen.add(kinds)
            yield one, other


def _named(report: CheckReport) -> set[str]:
    return {problem.object for problem in report.problems}


def _check(storage: Storage, key: UserKey | None) -> CheckReport:
    """Check as a person would: with another key where the file of the first is damaged, for without a key file nothing opens.

    Looking at the bare storage and at the opened repository must say the same.
    """
    bare = check_storage(storage, key)
    if key is not None and any("without a key file nothing else" in problem.what for problem in bare.problems):
        with_other = check_storage(storage, _OTHER_KEY)
        assert _named(bare) <= _named(with_other)
        return with_other
    try:
        repository = Repository.open(storage, key=key)
    except DamagedError:
        return bare
    opened = repository.check(level="read")
    assert _named(opened) == _named(bare)
    return opened


def _assert_never_wrong(storage: Storage, key: UserKey | None) -> None:
    """Read whatever can be read: it is right, or it is an error."""
    try:
        repository = Repository.open(storage, key=key)
    except DamagedError:
        return
    for summary in repository.backups():
        if summary.damaged is not None:
            continue
        for entry in summary.manifest.entries:
            got = bytearray()
            try:
                for part in repository.read(entry):
                    got += part
            except DamagedError:
                assert CONTENTS[summary.id][entry.name].startswith(got), "not a byte of what came before the error is wrong"
            else:
                assert bytes(got) == CONTENTS[summary.id][entry.name]


def test_a_flipped_bit_in_any_object_is_reported_by_name_and_never_read(pristine: tuple[UserKey | None, Objects]) -> None:
    key, objects = pristine
    storage = _storage_with(objects)
    for name, changed in _flips(objects):
        storage.put(name, changed, replace=True)
        assert _named(_check(storage, key)) == {name}
        _assert_never_wrong(storage, key)
        storage.put(name, objects[name], replace=True)
    assert _check(storage, key).ok


def test_any_object_cut_short_is_reported_by_name_and_never_read(pristine: tuple[UserKey | None, Objects]) -> None:
    key, objects = pristine
    storage = _storage_with(objects)
    for name, changed in _truncations(objects):
        storage.put(name, changed, replace=True)
        assert _named(_check(storage, key)) == {name}
        _assert_never_wrong(storage, key)
        storage.put(name, objects[name], replace=True)


def test_any_two_objects_swapped_are_both_reported_by_name_and_never_read(pristine: tuple[UserKey | None, Objects]) -> None:
    key, objects = pristine
    storage = _storage_with(objects)
    for one, other in _swaps(objects):
        storage.put(one, objects[other], replace=True)
        storage.put(other, objects[one], replace=True)
        assert _named(_check(storage, key)) == {one, other}
        _assert_never_wrong(storage, key)
        storage.put(one, objects[one], replace=True)
        storage.put(other, objects[other], replace=True)


def test_any_deleted_object_is_reported_by_name_and_never_read(pristine: tuple[UserKey | None, Objects]) -> None:
    """Except a proof later than the receipt: nothing tells that it ever was, so the backup's level drops, no more.

    Nor does anything tell of a pin, or of a clean-up's record, which no backup needs.
    """
    key, objects = pristine
    storage = _storage_with(objects)
    receipts = {min(name for name in objects if name.startswith(f"proofs/{backup_id}/")) for backup_id in CONTENTS}
    dropped = 0
    for name in objects:
        storage.delete(name)
        if name.startswith("proofs/") and name not in receipts:
            assert _check(storage, key).ok
            level = Repository.open(storage, key=key).verified_level(name.split("/")[1])
            later = [other for other in objects if other.rpartition("/")[0] == name.rpartition("/")[0] and other > name]
            assert level == ("restored" if later else "read")
            dropped += 1
        elif name.startswith(("pins/", "cleanups/", "checks/")):
            assert _check(storage, key).ok
        else:
            assert _named(_check(storage, key)) == {name}
        _assert_never_wrong(storage, key)
        storage.put(name, objects[name])
    assert dropped == 2 * len(CONTENTS)


def test_a_damaged_object_is_reported_with_the_backups_and_entries_it_concerns(sealed_in_memory: Repository) -> None:
    storage = sealed_in_memory._sealed.storage
    shared, own = noise(1, 600_000), noise(2, 600_000)
    first = back_up(sealed_in_memory, "backup_1", {"a": shared, "b": own})
    back_up(sealed_in_memory, "backup_2", {"c": shared})
    name = next(info.name for info in storage.list("chunks") if info.name.endswith(first.entry("a").root.id))
    storage.delete(name)
    (problem,) = sealed_in_memory.check(level="stored").problems
    assert (problem.object, problem.backups, problem.entries) == (name, ("backup_1", "backup_2"), ("a", "c"))
    assert problem.harms_content
    assert "backup_1" in str(problem)
    assert [one.object for one in sealed_in_memory.check(["backup_2"]).problems] == [name]


def test_a_check_of_one_backup_does_not_report_damage_that_only_others_have(sealed_in_memory: Repository) -> None:
    back_up(sealed_in_memory, "backup_1", {"a": noise(1, 600_000)})
    second = back_up(sealed_in_memory, "backup_2", {"a": noise(2, 600_000)})
    sealed_in_memory._sealed.storage.delete(f"chunks/{second.entry('a').root.id[:2]}/{second.entry('a').root.id}")
    assert sealed_in_memory.check(["backup_1"]).ok
    assert not sealed_in_memory.check(["backup_2"]).ok
    with pytest.raises(HoldfastError, match="backup_9"):
        sealed_in_memory.check(["backup_9"])


def test_the_parts_of_a_check_cover_every_chunk_between_them(sealed_in_memory: Repository) -> None:
    manifest = back_up(sealed_in_memory, "backup_1", {"a": noise(1, 20_000_000)})
    whole = sealed_in_memory.check(level="read")
    parts = [sealed_in_memory.check(level="read", subset=(part, 5)) for part in range(1, 6)]
    assert sum(part.chunks_read for part in parts) == whole.chunks_read == manifest.entry("a").root.chunks
    assert sum(part.bytes_read for part in parts) == whole.bytes_read == 20_000_000
    storage = sealed_in_memory._sealed.storage
    for info in list(storage.list("chunks")):
        data = bytearray(storage.get(info.name))
        data[-1] ^= 1
        storage.put(info.name, data, replace=True)
        reports = [sealed_in_memory.check(level="read", subset=(part, 5)) for part in range(1, 6)]
        assert {name for report in reports for name in _named(report)} == {info.name}
        data[-1] ^= 1
        storage.put(info.name, data, replace=True)
    for wrong in ((0, 5), (6, 5)):
        with pytest.raises(HoldfastError, match="subset"):
            sealed_in_memory.check(subset=wrong)


def test_damaged_and_missing_chunks_are_healed_by_the_next_backup_and_kept_aside(repository: Repository) -> None:
    storage = repository._sealed.storage
    contents = {"a": noise(1, 5_000_000), "b": text(1, 1_000_000)}
    manifest = back_up(repository, "backup_1", contents)
    lists = {entry.root.id for entry in manifest.entries if entry.root.depth}
    flipped, cut, gone = [info.name for info in storage.list("chunks") if info.name.split("/")[-1] not in lists][:3]
    damaged = {flipped: one_bit_off(storage.get(flipped)), cut: storage.get(cut)[:50], gone: b""}
    storage.put(flipped, damaged[flipped], replace=True)
    storage.put(cut, damaged[cut], replace=True)
    storage.delete(gone)
    report = repository.check(level="read", set_aside=True)
    assert _named(report) == set(damaged)
    assert report.chunks_set_aside == 3
    aside = {info.name.split("/")[1]: storage.get(info.name) for info in storage.list("damaged")}
    assert aside == {name.split("/")[-1]: data for name, data in damaged.items()}
    assert _named(repository.check(level="stored")) == set(damaged), "what was set aside and not stored afresh is known"
    assert repository.check(level="read", set_aside=True).chunks_set_aside == 0, "it is set aside once"
    assert back_up(repository, "backup_2", contents).new_chunks == 3
    assert repository.check(level="read").ok
    assert read_all(repository, manifest) == contents, "older backups are whole again"
    assert back_up(repository, "backup_3", contents).new_chunks == 0
    assert len(list(storage.list("damaged"))) == 3, "what was set aside is never deleted"


def test_even_where_every_chunk_is_damaged_the_next_backup_heals_all(repository: Repository) -> None:
    storage = repository._sealed.storage
    contents = {"a": noise(1, 3_000_000), "b": text(1, 1_000_000)}
    manifest = back_up(repository, "backup_1", contents)
    chunks = [info.name for info in storage.list("chunks")]
    for name in chunks:
        storage.put(name, one_bit_off(storage.get(name)), replace=True)
    assert _named(repository.check(level="read", set_aside=True)) == set(chunks)
    assert back_up(repository, "backup_2", contents).new_chunks == len(chunks)
    assert read_all(repository, manifest) == contents
    assert repository.check(level="read").ok


def test_a_missing_chunk_is_stored_again_by_the_next_backup_without_any_check(repository: Repository) -> None:
    contents = {"a": noise(1, 2_000_000)}
    manifest = back_up(repository, "backup_1", contents)
    storage = repository._sealed.storage
    storage.delete(max(storage.list("chunks"), key=lambda info: info.size_bytes).name)
    assert back_up(repository, "backup_2", contents).new_chunks == 1
    assert read_all(repository, manifest) == contents


def test_a_damaged_manifest_is_listed_as_damaged_and_does_not_hide_the_others(repository: Repository) -> None:
    storage = repository._sealed.storage
    for number in (1, 2, 3):
        back_up(repository, f"backup_{number}", {"a": b"%d" % number})
    storage.put("manifests/database/backup_2", b"", replace=True)
    reopened = Repository(storage, repository._description, repository.keys._opened, None)
    listed = {summary.id: summary.damaged for summary in reopened.backups("database")}
    assert listed == {"backup_1": None, "backup_2": "it is empty", "backup_3": None}
    with pytest.raises(DamagedError, match="manifests/database/backup_2"):
        reopened.manifest("backup_2")
    with pytest.raises(DamagedError, match="backup_2"):
        _ = next(summary for summary in reopened.backups() if summary.id == "backup_2").manifest


def test_the_latest_backup_is_never_silently_an_older_one(repository: Repository) -> None:
    storage = repository._sealed.storage
    for number in (1, 2):
        back_up(repository, f"backup_{number}", {"a": b"%d" % number})
    storage.delete("manifests/database/backup_2")
    storage.put("manifests/database/backup_2", b"damaged")
    reopened = Repository(storage, repository._description, repository.keys._opened, None)
    with pytest.raises(DamagedError, match="newest database backup, backup_2"):
        reopened.latest("database")


def test_a_lost_receipt_does_not_keep_a_backup_from_being_restored_and_is_written_again(repository: Repository) -> None:
    storage = repository._sealed.storage
    back_up(repository, "backup_1", {"a": b"1"})
    receipt = next(storage.list("proofs")).name
    storage.delete(receipt)
    report = repository.check(set_aside=True)
    assert (_named(report), report.ok, report.content_ok) == ({receipt}, False, True)
    assert repository.check().ok
    assert repository.verified_level("backup_1") == "stored"


def test_a_damaged_proof_counts_as_a_bad_one_and_is_replaced_by_one_that_says_so(repository: Repository) -> None:
    storage = repository._sealed.storage
    manifest = back_up(repository, "backup_1", {"a": b"1"})
    repository.add_proof("backup_1", "proven", ok=True, problems=[], figures={}, started_at=manifest.started_at)
    assert repository.verified_level("backup_1") == "proven"
    newest = max(info.name for info in storage.list("proofs"))
    storage.put(newest, b"x", replace=True)
    assert repository.verified_level("backup_1") is None
    assert [proof.ok for proof in repository.proofs("backup_1")] == [False, True]
    assert _named(repository.check(set_aside=True)) == {newest}
    assert repository.check().ok
    assert repository.verified_level("backup_1") is None
    repository.add_proof("backup_1", "read", ok=True, problems=[], figures={}, started_at=manifest.started_at)
    assert repository.verified_level("backup_1") == "read"


def test_a_check_survives_an_object_that_the_disk_can_not_read_but_not_a_storage_that_is_gone(folder: Path, key: UserKey) -> None:
    class BadSectors(LocalStorage):
        bad: frozenset[str] = frozenset()

        def get(self, name: str) -> bytes:
            if name in self.bad:
                raise StorageUnreachableError(f"could not read {name}", reason="Input/output error")
            return super().get(name)

    storage = BadSectors(folder)
    repository = Repository.create(storage, key=key)
    back_up(repository, "backup_1", {"a": noise(1, 20_000_000)})
    chunks = [info.name for info in storage.list("chunks") if info.size_bytes > 100_000]
    storage.bad = frozenset(chunks[:1])
    (problem,) = repository.check(level="read", set_aside=True).problems
    assert problem.object == chunks[0]
    assert "Input/output error" in problem.what
    storage.bad = frozenset(chunks)
    with pytest.raises(StorageUnreachableError):
        repository.check(level="read")


def test_a_check_of_a_storage_that_holds_no_repository_says_so(key: UserKey) -> None:
    with pytest.raises(HoldfastError, match="no repository") as caught:
        check_storage(MemoryStorage(), key)
    assert "see that the storage is mounted" in str(caught.value), "who reads it at night makes another repository"


def test_a_check_writes_nothing(pristine: tuple[UserKey | None, Objects]) -> None:
    """So that a copy on read-only media can be checked."""

    class ReadOnly(MemoryStorage):
        writable = True

        def put(self, name: str, data: bytes | bytearray | memoryview, *, replace: bool = False, bulk: bool = False) -> None:
            if not self.writable:
                raise StorageUnreachableError("read-only")
            super().put(name, data, replace=replace, bulk=bulk)

        def delete(self, name: str) -> None:
            raise StorageUnreachableError("read-only")

    key, objects = pristine
    storage = ReadOnly()
    for name, data in objects.items():
        storage.put(name, data)
    storage.writable = False
    repository = Repository.open(storage, key=key)
    assert repository.check(level="read").ok
    assert check_storage(storage, key).ok
    assert {one.id: read_all(repository, one.manifest) for one in repository.backups()} == CONTENTS


def test_an_object_that_vanishes_while_it_is_read_is_named(sealed_in_memory: Repository) -> None:
    manifest = back_up(sealed_in_memory, "backup_1", {"a": noise(1, 3_000_000)})
    storage = sealed_in_memory._sealed.storage
    for info in storage.list("chunks"):
        storage.delete(info.name)
    with pytest.raises(DamagedError, match="entry 'a' can't be read: chunks/") as caught:
        b"".join(sealed_in_memory.read(manifest.entry("a")))
    assert isinstance(caught.value.__cause__, ObjectNotFoundError)
