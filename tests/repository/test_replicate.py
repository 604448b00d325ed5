"""Replication: a replica gets what it lacks and nothing damaged, whatever happens meanwhile, and it goes on where it stopped."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.errors import (
    BusyError,
    DamagedError,
    HoldfastError,
    NotFoundError,
    RefusedError,
    StorageFullError,
    StorageUnreachableError,
    WrongKeyError,
)
from holdfast.repository import Repository, UserKey, check_storage, replicate
from holdfast.storage import LocalStorage, MemoryStorage, Storage

from .making import back_up, noise, read_all, text

OTHER_KEY = UserKey.parse("22" * 32)
BIG = noise(1, 9_000_000)  # three chunks at least, wherever it is cut
CONTENTS = {
    "backup_1": {"a": BIG, "b": text(1, 300_000)},
    "backup_2": {"a": BIG, "c": noise(2, 700_000), "empty": b""},
}


class Watched(MemoryStorage):
    """Counts what is put, and can be told to do something just before an object is put, or to fail."""

    def __init__(self) -> None:
        super().__init__()
        self.puts: Counter[str] = Counter()
        self.bulk: set[str] = set()
        self.before_put: Callable[[str], None] = lambda _: None

    def put(self, name: str, data: bytes | bytearray | memoryview, *, replace: bool = False, bulk: bool = False) -> None:
        self.before_put(name)
        super().put(name, data, replace=replace, bulk=bulk)
        self.puts[name.split("/", maxsplit=1)[0]] += 1
        if bulk:
            self.bulk.add(name.split("/", maxsplit=1)[0])


@pytest.fixture(params=["encrypted", "plain"])
def source(request: pytest.FixtureRequest, key: UserKey) -> Repository:
    encrypt = request.param == "encrypted"
    repository = Repository.create(MemoryStorage(), key=key if encrypt else None, encrypt=encrypt)
    for backup_id, contents in CONTENTS.items():
        back_up(repository, backup_id, contents)
    return repository


@pytest.fixture
def encrypted(key: UserKey) -> Repository:
    repository = Repository.create(MemoryStorage(), key=key)
    for backup_id, contents in CONTENTS.items():
        back_up(repository, backup_id, contents)
    return repository


@pytest.fixture
def target() -> Watched:
    return Watched()


def _storage(repository: Repository) -> Storage:
    return repository._sealed.storage


def _objects(storage: Storage) -> dict[str, bytes]:
    return {info.name: storage.get(info.name) for info in storage.list()}


def _chunks(storage: Storage) -> list[str]:
    """Name the chunks, the largest first: those at the front hold data."""
    return [info.name for info in sorted(storage.list("chunks"), key=lambda info: -info.size_bytes)]


def _flip(storage: Storage, name: str) -> None:
    data = bytearray(storage.get(name))
    data[len(data) // 2] ^= 1
    storage.put(name, data, replace=True)


def _cut(storage: Storage, name: str) -> None:
    storage.put(name, storage.get(name)[:-3], replace=True)


def _assert_whole_copy(target: Storage, key: UserKey | None, backups: dict[str, dict[str, bytes]] = CONTENTS) -> None:
    repository = Repository.open(target, key=key)
    report = repository.check(level="read")
    assert report.ok, report.problems
    assert {one.id: read_all(repository, one.manifest) for one in repository.backups()} == backups
    assert repository.leases() == []


@pytest.mark.parametrize("with_key", [True, False])
def test_the_copy_is_the_source_byte_for_byte_and_a_repository_of_its_own(
    source: Repository, target: Watched, key: UserKey, with_key: bool
) -> None:
    told: list[tuple[int, int]] = []
    report = replicate(_storage(source), target, repository=source if with_key else None, on_progress=lambda *at: told.append(at))
    assert report.ok
    assert {(one.id, one.type, one.whole) for one in report.backups} == {(id_, "database", True) for id_ in CONTENTS}
    assert _objects(target) == _objects(_storage(source))
    assert (report.copied_objects, report.copied_bytes) == (len(_objects(target)), sum(map(len, _objects(target).values())))
    assert target.bulk == {"chunks"}
    chunks = len(_chunks(target))
    assert told[-1] == (chunks, chunks)
    _assert_whole_copy(target, key)
    back_up(Repository.open(target, key=key), "backup_3", {"a": b"it can go on by itself"})


@pytest.mark.parametrize("with_key", [True, False])
def test_only_what_is_new_is_copied(source: Repository, target: Watched, key: UserKey, with_key: bool) -> None:
    opened = source if with_key else None
    replicate(_storage(source), target, repository=opened)
    target.puts.clear()
    again = replicate(_storage(source), target, repository=opened)
    assert (again.ok, again.copied_objects, again.copied_bytes) == (True, 0, 0)
    assert again.present_objects == len(_objects(_storage(source)))
    assert set(target.puts) <= {"leases"}
    third = {"a": BIG, "new": noise(9, 400_000)}
    manifest = back_up(source, "backup_3", third)
    source.add_proof("backup_1", "read", ok=True, problems=[], figures={}, started_at=manifest.started_at)
    report = replicate(_storage(source), target, repository=opened)
    assert report.copied_objects == manifest.new_chunks + 3
    assert target.puts["chunks"] == manifest.new_chunks
    assert Repository.open(target, key=key).verified_level("backup_1") == "read"
    _assert_whole_copy(target, key, {**CONTENTS, "backup_3": third})


@pytest.mark.parametrize("with_key", [True, False])
def test_what_was_copied_before_a_failure_is_not_copied_again(
    source: Repository, target: Watched, key: UserKey, with_key: bool
) -> None:
    opened = source if with_key else None
    chunks = len(_chunks(_storage(source)))
    left = 2

    def fail(name: str) -> None:
        nonlocal left
        if name.startswith("chunks/"):
            left -= 1
            if left < 0:
                raise StorageFullError(f"no space is left for {name}")

    target.before_put = fail
    with pytest.raises(StorageFullError):
        replicate(_storage(source), target, repository=opened, threads=1)
    assert target.puts["chunks"] == 2
    assert not list(target.list("manifests"))
    target.before_put = lambda _: None
    report = replicate(_storage(source), target, repository=opened)
    assert target.puts["chunks"] == chunks
    assert report.present_objects >= 2
    _assert_whole_copy(target, key)


def test_a_damaged_chunk_never_spreads_nor_does_a_backup_that_needs_it(source: Repository, target: Watched, key: UserKey) -> None:
    storage = _storage(source)
    own = source.manifest("backup_2").entry("c").root
    lost = own.id if own.depth == 0 else next(record[0].hex() for record in _records(source, "backup_2", "c"))
    name = f"chunks/{lost[:2]}/{lost}"
    _flip(storage, name)
    report = replicate(storage, target, repository=source)
    assert not report.ok
    assert any(name in problem and "damaged at the source" in problem for problem in report.problems)
    assert {one.id: one.whole for one in report.backups} == {"backup_1": True, "backup_2": False}
    assert target.head(name) is None
    _assert_whole_copy(target, key, {"backup_1": CONTENTS["backup_1"]})


def _records(repository: Repository, backup_id: str, entry: str) -> list[tuple[bytes, int]]:
    from holdfast.repository import reader

    return list(reader.records(repository._sealed, repository.manifest(backup_id).entry(entry)))


@pytest.mark.parametrize("harm", [_flip, _cut])
def test_damage_that_comes_to_the_source_later_does_not_reach_the_copy(
    source: Repository, target: Watched, key: UserKey, harm: Callable[[Storage, str], None]
) -> None:
    storage = _storage(source)
    replicate(storage, target, repository=source)
    before = _objects(target)
    for name in before:
        if name.split("/", maxsplit=1)[0] in ("chunks", "manifests", "proofs", "keys"):
            harm(storage, name)
    report = replicate(storage, target, repository=Repository(storage, source._description, source.keys._opened, None))
    assert not report.ok
    assert {name: data for name, data in _objects(target).items() if not name.startswith("leases")} == before
    _assert_whole_copy(target, key)


def test_without_the_key_what_was_cut_off_at_the_source_does_not_replace_what_is_whole(
    encrypted: Repository, target: Watched
) -> None:
    storage = _storage(encrypted)
    replicate(storage, target)
    before = _objects(target)
    for name in before:
        _cut(storage, name) if name != "repository.json" else None
    report = replicate(storage, target)
    assert not report.ok
    assert not any(one.whole for one in report.backups)
    assert _objects(target) == before


def test_what_is_damaged_at_the_target_so_that_it_shows_is_copied_again(
    source: Repository, target: Watched, key: UserKey
) -> None:
    storage = _storage(source)
    replicate(storage, target, repository=source)
    intact = _objects(target)
    manifest = source.manifest("backup_1")
    roots = [f"chunks/{entry.root.id[:2]}/{entry.root.id}" for entry in manifest.entries if entry.root.depth]
    assert roots
    for name in intact:
        _cut(target, name)
    target.delete("manifests/database/backup_1")
    _flip(target, "manifests/database/backup_2")
    report = replicate(storage, target, repository=source)
    assert report.ok, report.problems
    assert all(one.whole for one in report.backups)
    assert _objects(target) == intact
    # A list of the right size is only found out when a backup that comes anew is to rely on it.
    _flip(target, roots[0])
    target.delete("manifests/database/backup_1")
    assert replicate(storage, target, repository=source).ok
    assert _objects(target) == intact


def test_without_the_key_an_empty_object_at_the_target_is_copied_again(
    encrypted: Repository, target: Watched, key: UserKey
) -> None:
    storage = _storage(encrypted)
    replicate(storage, target)
    for name in (*_chunks(storage)[:2], "manifests/database/backup_1", "keys/" + str(encrypted.keys.current_id) + ".json"):
        target.put(name, b"", replace=True)
    target.delete("repository.json")
    assert replicate(storage, target).ok
    _assert_whole_copy(target, key)


def test_a_target_that_changes_what_it_stores_is_found_out_and_gets_no_manifest(source: Repository) -> None:
    class Forgetful(Watched):
        def put(self, name: str, data: bytes | bytearray | memoryview, *, replace: bool = False, bulk: bool = False) -> None:
            changed = bytes(data[:-1]) + bytes([data[-1] ^ 1]) if bulk else data
            super().put(name, changed, replace=replace, bulk=bulk)

    target = Forgetful()
    report = replicate(_storage(source), target, repository=source)
    assert not report.ok
    assert "does not give back" in report.problems[0]
    assert not list(target.list("manifests"))
    assert not list(target.list("chunks")), "it would be taken for copied the next time"


def test_a_target_that_holds_another_repository_is_refused_and_left_as_it_is(
    source: Repository, target: Watched, key: UserKey
) -> None:
    back_up(Repository.create(target, key=key), "other", {"a": b"1"})
    for lost in (None, "repository.json", "keys"):
        for info in list(target.list()):
            if lost is not None and info.name.startswith(lost):
                target.delete(info.name)
        before = _objects(target)
        for opened in (source, None):
            with pytest.raises(RefusedError, match="something else"):
                replicate(_storage(source), target, repository=opened)
        assert _objects(target) == before


def test_a_target_that_lost_repository_json_and_its_keys_is_known_by_what_it_holds(
    source: Repository, target: Watched, key: UserKey
) -> None:
    replicate(_storage(source), target, repository=source)
    for name in [info.name for info in target.list() if info.name.startswith(("repository.json", "keys"))]:
        target.delete(name)
    assert replicate(_storage(source), target, repository=source).ok
    _assert_whole_copy(target, key)


def test_a_repository_other_than_the_source_s_is_refused(source: Repository, target: Watched, key: UserKey) -> None:
    other = Repository.create(MemoryStorage(), key=key)
    with pytest.raises(RefusedError, match="was opened"):
        replicate(_storage(source), target, repository=other)
    with pytest.raises(NotFoundError):
        replicate(MemoryStorage(), target)
    assert not _objects(target)


def test_the_source_by_another_name_is_no_replica_of_itself(folder: Path, tmp_path: Path, key: UserKey) -> None:
    storage = LocalStorage(folder)
    repository = Repository.create(storage, key=key)
    (tmp_path / "alias").symlink_to(folder)
    with pytest.raises(RefusedError, match="same place"):
        replicate(storage, LocalStorage(tmp_path / "alias"), repository=repository)
    with pytest.raises(RefusedError, match="same place"):
        replicate(storage, LocalStorage(folder))
    assert repository.leases() == []


def test_keys_that_are_added_and_removed_are_so_at_the_replica(encrypted: Repository, target: Watched, key: UserKey) -> None:
    storage = _storage(encrypted)
    replicate(storage, target, repository=encrypted)
    added = encrypted.keys.add(OTHER_KEY, "second")
    assert replicate(storage, target).ok
    assert Repository.open(target, key=OTHER_KEY).keys.current_id == added.id
    encrypted.keys.remove(added.id)
    without_key = replicate(storage, target)
    assert added.id in without_key.problems[0], "a forger could have removed it"
    assert Repository.open(target, key=OTHER_KEY)
    assert replicate(storage, target, repository=encrypted).ok
    with pytest.raises(WrongKeyError):
        Repository.open(target, key=OTHER_KEY)
    assert replicate(storage, target).ok
    _assert_whole_copy(target, key)


def test_a_removed_key_that_is_put_back_at_the_source_stays_removed_at_the_replica(
    encrypted: Repository, target: Watched, key: UserKey
) -> None:
    storage = _storage(encrypted)
    added = encrypted.keys.add(OTHER_KEY, "second")
    kept = storage.get(f"keys/{added.id}.json")
    encrypted.keys.remove(added.id)
    replicate(storage, target, repository=encrypted)
    storage.put(f"keys/{added.id}.json", kept, replace=True)
    for opened in (encrypted, None):
        assert "the removal stands" in replicate(storage, target, repository=opened).problems[0]
    with pytest.raises(WrongKeyError):
        Repository.open(target, key=OTHER_KEY)


def test_whoever_can_only_write_to_the_source_can_not_take_the_replica_s_keys_away(
    encrypted: Repository, target: Watched, key: UserKey
) -> None:
    """A tombstone can be forged by anybody but for its MAC, and a key file of another repository renamed."""
    storage = _storage(encrypted)
    replicate(storage, target, repository=encrypted)
    name = f"keys/{encrypted.keys.current_id}.json"
    intact = target.get(name)
    from holdfast.repository.keyfile import KeyFile
    from holdfast.repository.masterkey import MasterKey

    forged = KeyFile.from_bytes(storage.get(name), str(encrypted.keys.current_id)).removed(MasterKey(b"x" * 32, encrypted.id))
    storage.put(name, forged.to_bytes(), replace=True)
    for opened in (encrypted, None):
        assert not replicate(storage, target, repository=opened).ok
        assert target.get(name) == intact


def test_damage_to_repository_json_does_not_spread(source: Repository, target: Watched, key: UserKey) -> None:
    storage = _storage(source)
    replicate(storage, target, repository=source)
    _cut(storage, "repository.json")
    with pytest.raises(DamagedError):
        replicate(storage, target)
    assert replicate(storage, target, repository=source).ok
    _assert_whole_copy(target, key)


def test_two_replications_at_once_make_one_whole_copy(source: Repository, key: UserKey, folder: Path) -> None:
    results: list[object] = []
    started = threading.Barrier(2)

    def work() -> None:
        started.wait()
        try:
            results.append(replicate(_storage(source), LocalStorage(folder), repository=source).ok)
        except HoldfastError as error:
            results.append(error)

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert results == [True, True]
    _assert_whole_copy(LocalStorage(folder), key)


@pytest.mark.parametrize("with_key", [True, False])
def test_a_backup_that_runs_meanwhile_is_copied_whole_or_not_at_all(
    encrypted: Repository, target: Watched, key: UserKey, with_key: bool
) -> None:
    storage = _storage(encrypted)
    third = {"new": noise(7, 3_000_000)}
    begun = False

    def back_up_once(name: str) -> None:
        nonlocal begun
        if name.startswith("chunks/") and not begun:
            begun = True
            back_up(Repository.open(storage, key=key), "backup_3", third)

    target.before_put = back_up_once
    report = replicate(storage, target, repository=encrypted if with_key else None)
    assert report.ok, report.problems
    _assert_whole_copy(target, key)
    assert replicate(storage, target, repository=encrypted if with_key else None).ok
    _assert_whole_copy(target, key, {**CONTENTS, "backup_3": third})


@pytest.mark.parametrize("with_key", [True, False])
def test_a_backup_that_is_forgotten_meanwhile_is_copied_whole_or_not_at_all(
    encrypted: Repository, target: Watched, key: UserKey, with_key: bool
) -> None:
    storage = _storage(encrypted)
    done = False

    def forget_once(name: str) -> None:
        nonlocal done
        if name.startswith("chunks/") and not done:
            done = True
            other = Repository.open(storage, key=key)
            other.forget("backup_2")
            if not with_key:
                other.prune(grace_seconds=-0.0)
            else:
                with pytest.raises(BusyError, match="replication"):
                    other.prune(grace_seconds=0)

    target.before_put = forget_once
    report = replicate(storage, target, repository=encrypted if with_key else None)
    assert report.ok, report.problems
    assert [(one.id, one.whole) for one in report.backups] == [("backup_1", True)]
    _assert_whole_copy(target, key, {"backup_1": CONTENTS["backup_1"]})


@pytest.mark.parametrize("at", ["source", "target"])
def test_a_prune_on_either_side_is_not_disturbed(encrypted: Repository, target: Watched, key: UserKey, at: str) -> None:
    storage = _storage(encrypted)
    replicate(storage, target, repository=encrypted)
    back_up(encrypted, "backup_3", {"new": noise(7, 600_000)})
    side = encrypted if at == "source" else Repository.open(target, key=key)
    with side.lease("prune", exclusive=True), pytest.raises(BusyError, match="prune"):
        replicate(storage, target, repository=encrypted)
    if at == "target":
        with side.lease("prune", exclusive=True), pytest.raises(BusyError, match="somebody is at work"):
            replicate(storage, target)
    assert replicate(storage, target, repository=encrypted).ok


def test_without_the_key_a_prune_that_begins_at_the_target_meanwhile_is_told(
    encrypted: Repository, target: Watched, key: UserKey
) -> None:
    held = []

    def begin(name: str) -> None:
        if name.startswith("proofs/") and not held:
            held.append(Repository.open(target, key=key).lease("prune", exclusive=True))
            held[0].__enter__()

    target.before_put = begin
    try:
        report = replicate(_storage(encrypted), target)
    finally:
        held[0].__exit__(None, None, None)
    assert "perhaps to prune" in report.problems[0]
    target.before_put = lambda _: None
    assert replicate(_storage(encrypted), target).ok


def test_what_was_forgotten_at_the_source_stays_at_the_replica(source: Repository, target: Watched, key: UserKey) -> None:
    storage = _storage(source)
    replicate(storage, target, repository=source)
    source.forget("backup_1")
    source.prune(grace_seconds=0)
    report = replicate(storage, target, repository=source)
    assert report.ok
    assert [one.id for one in report.backups] == ["backup_2"]
    _assert_whole_copy(target, key)


def test_a_chunk_that_was_stored_again_otherwise_compressed_is_no_trouble(
    source: Repository, target: Watched, key: UserKey
) -> None:
    from holdfast.repository import Compression

    storage = _storage(source)
    replicate(storage, target, repository=source)
    for backup_id in CONTENTS:
        source.forget(backup_id)
    source.prune(grace_seconds=0)
    back_up(source, "backup_3", CONTENTS["backup_1"], compression=Compression("gzip", 9))
    assert replicate(storage, target, repository=source).ok
    _assert_whole_copy(target, key, {**CONTENTS, "backup_3": CONTENTS["backup_1"]})


def test_a_lost_receipt_at_the_source_is_no_loss_at_the_replica(source: Repository, target: Watched, key: UserKey) -> None:
    storage = _storage(source)
    for info in list(storage.list("proofs")):
        storage.delete(info.name)
    assert replicate(storage, target, repository=source).ok
    _assert_whole_copy(target, key)


def test_an_object_that_the_source_s_disk_can_not_read_is_told_and_the_rest_is_copied(
    folder: Path, target: Watched, key: UserKey
) -> None:
    class BadSectors(LocalStorage):
        bad: frozenset[str] = frozenset()

        def stream(self, name: str, *, part_bytes: int = 1 << 20):  # type: ignore[no-untyped-def]
            if name in self.bad:
                raise StorageUnreachableError(f"could not read {name}", reason="Input/output error")
            return super().stream(name, part_bytes=part_bytes)

    storage = BadSectors(folder)
    repository = Repository.create(storage, key=key)
    back_up(repository, "backup_1", {"a": noise(1, 20_000_000)})
    back_up(repository, "backup_2", {"a": b"small"})
    chunks = _chunks(storage)
    storage.bad = frozenset(chunks[:1])
    report = replicate(storage, target, repository=repository)
    assert any(chunks[0] in problem and "Input/output error" in problem for problem in report.problems)
    _assert_whole_copy(target, key, {"backup_2": {"a": b"small"}})
    storage.bad = frozenset(chunks)
    with pytest.raises(StorageUnreachableError):
        replicate(storage, Watched(), repository=repository)


def test_what_was_put_last_before_an_earlier_replication_died_is_looked_into_again(
    source: Repository, target: Watched, key: UserKey
) -> None:
    """As after a loss of power: of the right size, and not what was put."""
    storage = _storage(source)
    replicate(storage, target, repository=source)
    for info in [*target.list("manifests"), *target.list("proofs")]:
        target.delete(info.name)
    damaged = _chunks(target)[0]
    _flip(target, damaged)
    assert replicate(storage, target, repository=source).ok
    _assert_whole_copy(target, key)


def test_the_list_of_problems_is_short_however_many_there_are(encrypted: Repository, target: Watched) -> None:
    storage = _storage(encrypted)
    back_up(encrypted, "backup_3", {f"entry_{number}": b"%d" % number for number in range(300)})
    for name in _chunks(storage):
        _flip(storage, name)
    report = replicate(storage, target, repository=encrypted)
    assert len(report.problems) == 101
    assert report.problems[-1].startswith("and ")
    assert report.problem_count > 300


def test_a_replica_brings_a_lost_repository_back(source: Repository, target: Watched, key: UserKey) -> None:
    replicate(_storage(source), target, repository=source)
    place = MemoryStorage()
    assert replicate(target, place, repository=Repository.open(target, key=key)).ok
    _assert_whole_copy(place, key)
    assert check_storage(place, key).ok


def test_a_target_made_immutable_locks_what_a_copied_backup_needs_and_each_chunk_once(folder: Path, key: UserKey) -> None:
    class Locking(Watched):
        immutable_days = 10

        def __init__(self) -> None:
            super().__init__()
            self.locks: dict[str, datetime] = {}
            self.asked: Counter[str] = Counter()

        def lock(self, name: str, until: datetime) -> None:
            assert self.head(name) is not None
            self.asked[name.split("/", maxsplit=1)[0]] += 1
            self.locks[name] = max(until, self.locks.get(name, until))

        def locked_until(self, name: str) -> datetime | None:
            return self.locks.get(name)

    repository = Repository.create(MemoryStorage(), key=key)
    back_up(repository, "backup_1", CONTENTS["backup_1"])
    target = Locking()
    storage = _storage(repository)
    assert replicate(storage, target, repository=repository).ok
    needed = {info.name for info in target.list() if info.name.startswith(("chunks", "keys", "manifests", "repository.json"))}
    assert set(target.locks) == needed
    assert min(target.locks.values()) >= datetime.now(UTC) + timedelta(days=9.9)
    first = target.asked["chunks"]
    back_up(repository, "backup_2", {**CONTENTS["backup_1"], "new": noise(5, 1000)})
    assert replicate(storage, target, repository=repository).ok
    assert target.asked["chunks"] == first + 1, "what an earlier copy has locked for long enough is not locked again"
    # A death between a manifest and its lock: the next replication locks it after all.
    for name in [info.name for info in target.list("proofs/backup_2") if info.name not in _objects(storage)]:
        target.delete(name)
    del target.locks["manifests/database/backup_2"]
    assert replicate(storage, target, repository=repository).ok
    assert "manifests/database/backup_2" in target.locks
    without = Locking()
    assert replicate(storage, without).ok
    assert {name for name in without.locks if name.startswith("chunks")} == set(_chunks(without))
    assert {"manifests/database/backup_1", "repository.json"} <= set(without.locks)
