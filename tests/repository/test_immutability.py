"""Immutable backups: for some days nobody deletes what belongs to one, and what belongs to none is not kept longer for it."""

from __future__ import annotations

import io
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.errors import (
    DamagedError,
    LeaseLostError,
    NotFoundError,
    ObjectLockedError,
    SettingsError,
    StorageUnreachableError,
    WrongKeyError,
)
from holdfast.repository import Repository, UserKey, canonical, names
from holdfast.storage import LocalStorage, ObjectInfo

from .locking import chunks, fail_to_commit, lock_of, needed_chunks
from .making import ZSTD, back_up, draft, noise, read_all, text

MIB = 1 << 20
DAY = timedelta(days=1)
DAYS = 8  # so the slack is two days


class Folder(LocalStorage):
    """A folder whose clock a test can put forward, and that remembers what was locked."""

    def __init__(self, path: Path, *, immutable_days: int = DAYS) -> None:
        super().__init__(path, immutable_days=immutable_days)
        self.ahead = timedelta()
        self.locks: list[str] = []

    def head(self, name: str) -> ObjectInfo | None:
        info = super().head(name)
        return info and ObjectInfo(name, info.size_bytes, info.modified + (self.ahead if _is_passing(name) else timedelta()))

    def lock(self, name: str, until: datetime) -> None:
        super().lock(name, until)
        self.locks.append(name)

    def locked_chunks(self) -> set[str]:
        return {name for name in self.locks if name.startswith("chunks/")}


def _is_passing(name: str) -> bool:
    return name.startswith(("leases/", "clock/"))  # what tells the time; the others stay as old as they are


@pytest.fixture
def storage(folder: Path) -> Folder:
    return Folder(folder)


@pytest.fixture
def repository(storage: Folder, key: UserKey) -> Repository:
    return Repository.create(storage, key=key)


def test_all_that_a_backup_needs_is_locked_for_its_days_and_what_passes_is_not(repository: Repository, storage: Folder) -> None:
    before = datetime.now(UTC)
    manifest = back_up(repository, "backup_1", {"a": noise(1, 6 * MIB), "b": text(2, MIB)})
    needed = [*needed_chunks(repository, manifest), "repository.json", *(info.name for info in storage.list("keys"))]
    assert len(needed) > 5
    for name in needed:
        assert before + 10 * DAY <= lock_of(storage, name) <= datetime.now(UTC) + 10 * DAY
        with pytest.raises(ObjectLockedError):
            storage.delete(name)
    end = lock_of(storage, "manifests/database/backup_1")
    assert before + DAYS * DAY <= end <= datetime.now(UTC) + DAYS * DAY
    assert canonical.time_from(manifest.parameters["locked_until"]) == min(lock_of(storage, name) for name in needed)
    for info in storage.list("proofs"):
        assert storage.locked_until(info.name) is None
    assert list(storage.list("leases")) == []
    assert repository.check().ok


def test_without_immutability_nothing_is_locked_and_no_manifest_speaks_of_it(folder: Path, key: UserKey) -> None:
    storage = Folder(folder, immutable_days=0)
    manifest = back_up(Repository.create(storage, key=key), "backup_1", {"a": noise(1, MIB)})
    assert storage.locks == []
    assert manifest.parameters == {}


def test_what_a_failed_run_stored_is_not_locked_and_goes_with_prune(repository: Repository, storage: Folder) -> None:
    fail_to_commit(repository, noise(1, 2 * MIB))
    assert chunks(storage)
    assert storage.locked_chunks() == set()
    report = repository.prune(grace_seconds=0)
    assert report.chunks_deleted > 0
    assert report.chunks_locked == 0
    assert chunks(storage) == set()


def test_what_a_failed_run_stored_is_locked_by_the_backup_that_uses_it(repository: Repository, storage: Folder) -> None:
    fail_to_commit(repository, noise(1, 2 * MIB))
    manifest = back_up(repository, "backup_1", {"a": noise(1, 2 * MIB)})
    assert storage.locked_chunks() == needed_chunks(repository, manifest) == chunks(storage)


def test_the_next_backups_lock_only_what_is_new_until_old_locks_are_too_short(repository: Repository, storage: Folder) -> None:
    same = noise(1, 3 * MIB)
    first = back_up(repository, "backup_1", {"a": same})
    storage.locks.clear()
    storage.ahead += DAY
    second = back_up(repository, "backup_2", {"a": same, "b": noise(2, MIB)})
    assert storage.locked_chunks() == needed_chunks(repository, second) - needed_chunks(repository, first)
    assert second.parameters["locked_until"] == first.parameters["locked_until"]
    storage.locks.clear()
    storage.ahead += DAY + timedelta(hours=1)
    third = back_up(repository, "backup_3", {"a": same})
    assert storage.locked_chunks() == needed_chunks(repository, third), "they would not stay for eight days more"
    now = storage.clock()
    for manifest in (first, second, third):
        assert all(lock_of(storage, name) > now for name in needed_chunks(repository, manifest))
    for name in needed_chunks(repository, third):
        assert lock_of(storage, name) >= now + DAYS * DAY
    assert third.parameters["locked_until"] > first.parameters["locked_until"]


def test_prune_spares_what_is_locked_and_says_so_until_its_time_is_over(repository: Repository, storage: Folder) -> None:
    back_up(repository, "backup_1", {"a": noise(1, 2 * MIB)})
    locked = chunks(storage)
    fail_to_commit(repository, noise(2, 2 * MIB))
    storage.ahead += DAYS * DAY + timedelta(minutes=1)
    repository.forget("backup_1")
    dry = repository.prune(grace_seconds=0, dry_run=True)
    wet = repository.prune(grace_seconds=0)
    assert chunks(storage) == locked
    for report in (dry, wet):
        assert report.chunks_deleted > 0
        assert report.chunks_locked == report.chunks_kept == len(locked)
        assert report.bytes_locked == report.bytes_kept == sum(info.size_bytes for info in storage.list("chunks"))
        assert report.locked_until == min(lock_of(storage, name) for name in locked)
    assert (dry.chunks_deleted, dry.bytes_deleted) == (wet.chunks_deleted, wet.bytes_deleted)
    storage.ahead += 3 * DAY
    report = repository.prune(grace_seconds=0)
    assert (report.chunks_deleted, report.chunks_locked, report.locked_until) == (len(locked), 0, None)
    assert chunks(storage) == set()


def test_forgetting_a_locked_backup_is_refused_and_changes_nothing(repository: Repository, storage: Folder) -> None:
    manifest = back_up(repository, "backup_1", {"a": b"precious"})
    proofs = [info.name for info in storage.list("proofs")]
    for _ in range(2):
        with pytest.raises(ObjectLockedError, match=f"backup_1.*{lock_of(storage, 'manifests/database/backup_1'):%Y-%m-%d}"):
            repository.forget("backup_1")
    assert [info.name for info in storage.list("proofs")] == proofs
    assert repository.leases() == [], "nobody may finish the forgetting later"
    assert read_all(repository, manifest) == {"a": b"precious"}
    storage.ahead += DAYS * DAY + timedelta(minutes=1)
    repository.forget("backup_1")
    with pytest.raises(NotFoundError):
        repository.forget("backup_1")


def test_switched_on_later_it_also_locks_what_is_there_and_used_again(folder: Path, key: UserKey) -> None:
    same = noise(1, 2 * MIB)
    back_up(Repository.create(LocalStorage(folder), key=key), "backup_1", {"a": same, "b": noise(2, MIB)})
    storage = Folder(folder)
    repository = Repository.open(storage, key=key)
    manifest = back_up(repository, "backup_2", {"a": same})
    assert storage.locked_chunks() == needed_chunks(repository, manifest)
    repository.forget("backup_1")
    assert repository.prune(grace_seconds=0).chunks_deleted > 0


def test_switched_off_later_what_is_locked_stays_locked(repository: Repository, folder: Path, key: UserKey) -> None:
    first = back_up(repository, "backup_1", {"a": noise(1, 2 * MIB)})
    storage = Folder(folder, immutable_days=0)
    off = Repository.open(storage, key=key)
    back_up(off, "backup_2", {"a": noise(2, MIB)})
    fail_to_commit(off, noise(3, MIB))
    assert storage.locks == []
    with pytest.raises(ObjectLockedError):
        off.forget("backup_1")
    off.forget("backup_2")
    storage.ahead += DAYS * DAY + timedelta(minutes=1)
    off.forget("backup_1")
    report = off.prune(grace_seconds=0)
    assert chunks(storage) == needed_chunks(repository, first)
    assert report.chunks_deleted > 0
    assert report.chunks_locked == report.chunks_kept == len(chunks(storage))
    assert report.bytes_kept == sum(info.size_bytes for info in storage.list("chunks"))
    assert report.bytes_deleted > 0
    assert list(storage.list("prune")) == []


def test_fewer_days_shorten_no_lock_and_more_days_make_all_longer(repository: Repository, folder: Path, key: UserKey) -> None:
    same = noise(1, 2 * MIB)
    first = back_up(repository, "backup_1", {"a": same})
    name = min(needed_chunks(repository, first))
    end = lock_of(repository._sealed.storage, name)
    shorter, longer = Folder(folder, immutable_days=1), Folder(folder, immutable_days=100)
    back_up(Repository.open(shorter, key=key), "backup_2", {"a": same})
    assert shorter.locked_chunks() == set()
    assert lock_of(shorter, name) == end
    assert lock_of(shorter, "manifests/database/backup_2") < datetime.now(UTC) + 1.1 * DAY
    assert lock_of(shorter, "repository.json") >= end
    third = back_up(Repository.open(longer, key=key), "backup_3", {"a": same})
    assert longer.locked_chunks() == needed_chunks(repository, third)
    assert lock_of(longer, name) > datetime.now(UTC) + 124 * DAY


def test_a_damaged_chunk_is_stored_afresh_in_its_place_though_it_is_locked(
    repository: Repository, storage: Folder, folder: Path, key: UserKey
) -> None:
    same = noise(1, 2 * MIB)
    first = back_up(repository, "backup_1", {"a": same})
    name = f"chunks/{first.entry('a').root.id[:2]}/{first.entry('a').root.id}"
    (folder / name).chmod(0o600)
    found = bytearray((folder / name).read_bytes())
    found[-1] ^= 1
    with (folder / name).open("r+b") as file:
        file.write(found)
    assert not repository.check(set_aside=True).ok
    storage.locks.clear()
    second = back_up(Repository.open(storage, key=key), "backup_2", {"a": same})
    assert name in storage.locked_chunks(), "the new one must be locked as the old one was"
    assert repository.check().ok
    assert read_all(repository, second) == {"a": same}
    assert [storage.get(info.name) for info in storage.list("damaged")] == [bytes(found)]
    assert [path.read_bytes() for path in (folder / name).parent.glob("*#kept-*")] == [bytes(found)]
    storage.locks.clear()
    back_up(repository, "backup_3", {"a": same})
    assert storage.locked_chunks() == {name}, "what was ever replaced may have been so by a run that died before it locked"


def test_a_copy_of_the_repository_elsewhere_does_not_take_the_locks_for_copied(
    repository: Repository, folder: Path, tmp_path: Path, key: UserKey
) -> None:
    same = noise(1, 2 * MIB)
    back_up(repository, "backup_1", {"a": same})
    shutil.copytree(folder, tmp_path / "copy", copy_function=shutil.copyfile)
    storage = Folder(tmp_path / "copy")
    copy = Repository.open(storage, key=key)
    manifest = back_up(copy, "backup_2", {"a": same})
    assert storage.locked_chunks() == needed_chunks(copy, manifest)
    copy.forget("backup_1")


def test_a_removed_key_opens_nothing_though_its_file_was_locked(
    repository: Repository, storage: Folder, folder: Path, key: UserKey, caplog: pytest.LogCaptureFixture
) -> None:
    other = UserKey.parse("22" * 32)
    repository.keys.add(other, "other")
    back_up(repository, "backup_1", {"a": b"1"})
    old = repository.keys.current_id
    assert old is not None
    repository.keys.rotate(UserKey.parse("33" * 32))
    with pytest.raises(WrongKeyError):
        Repository.open(storage, key=key)
    assert f"key {old} opens the repository no more, but" in caplog.text
    assert len(list((folder / "keys").glob(f"{old}.json#kept-*"))) == 1
    with pytest.raises(ObjectLockedError):
        storage.delete(names.key(old))
    assert read_all(Repository.open(storage, key=other), repository.manifest("backup_1")) == {"a": b"1"}
    assert repository.check().ok


class KeepsNoVersions(Folder):
    """A folder that refuses to replace what is locked, as Google Cloud Storage does."""

    def put(self, name: str, data: bytes | bytearray | memoryview, *, replace: bool = False, bulk: bool = False) -> None:
        if replace and self.locked_until(name) is not None:
            raise ObjectLockedError(f"{name} is locked")
        super().put(name, data, replace=replace, bulk=bulk)


def test_where_nothing_locked_can_be_replaced_the_error_says_what_that_means(folder: Path, key: UserKey) -> None:
    storage = KeepsNoVersions(folder)
    repository = Repository.create(storage, key=key)
    (name,) = needed_chunks(repository, back_up(repository, "backup_1", {"a": b"precious"}))
    new = UserKey.parse("22" * 32)
    with pytest.raises(ObjectLockedError, match=rf"still opens.*{lock_of(storage, 'repository.json'):%Y-%m-%d}"):
        repository.keys.rotate(new)
    for either in (key, new):
        assert Repository.open(storage, key=either).manifest("backup_1")
    (folder / name).chmod(0o600)
    (folder / name).write_bytes(b"garbage, and enough of it for a chunk that could be whole, by its length")
    repository.check(set_aside=True)
    with pytest.raises(DamagedError, match=f"{name}.*can't be stored afresh"):
        back_up(repository, "backup_2", {"a": b"precious"})
    back_up(repository, "backup_3", {"a": b"other"})


def test_a_storage_that_can_not_lock_is_found_out_before_anything_is_uploaded(repository: Repository, storage: Folder) -> None:
    class CannotLock(Folder):
        def lock(self, name: str, until: datetime) -> None:
            raise SettingsError(f"the bucket can't lock {name!r}")

    other = CannotLock(Path(storage.location.removeprefix("file://")))
    repository._sealed = type(repository._sealed)(other, repository._sealed.master)
    with pytest.raises(SettingsError, match="can't lock"), repository.lease("backup") as lease:
        repository.writer(lease, compression=ZSTD)
    assert chunks(storage) == set()


def test_progress_is_told_and_a_chunk_that_vanished_is_named(repository: Repository, storage: Folder, folder: Path) -> None:
    told: list[tuple[int, int]] = []
    with repository.lease("backup") as lease, repository.writer(lease, compression=ZSTD) as writer:
        entry = writer.store("a", "k", io.BytesIO(noise(1, 2 * MIB)))
        writer.commit(draft("backup_1", entry), on_progress=lambda done, total: told.append((done, total)))
    count = len(chunks(storage))
    assert told[-1] == (count, count)
    with repository.lease("backup") as lease, repository.writer(lease, compression=ZSTD) as writer:
        before = chunks(storage)
        entry = writer.store("a", "k", io.BytesIO(b"new"))
        (gone,) = chunks(storage) - before
        (folder / gone).unlink()
        with pytest.raises(DamagedError, match=gone):
            writer.commit(draft("backup_2", entry))
    assert [one.id for one in repository.backups()] == ["backup_1"]


class Dies(Folder):
    """A folder that stops answering at one step of a commit."""

    at = ""

    def put(self, name: str, data: bytes | bytearray | memoryview, *, replace: bool = False, bulk: bool = False) -> None:
        if self.at and f"put {name}".startswith(self.at):
            raise StorageUnreachableError("gone")
        super().put(name, data, replace=replace, bulk=bulk)

    def lock(self, name: str, until: datetime) -> None:
        if self.at and f"lock {name}".startswith(self.at):
            raise StorageUnreachableError("gone")
        super().lock(name, until)


@pytest.fixture
def dies(folder: Path) -> Dies:
    return Dies(folder)


def test_a_death_between_locks_and_manifest_leaves_no_backup_and_chunks_that_the_next_uses(dies: Dies, key: UserKey) -> None:
    repository = Repository.create(dies, key=key)
    dies.at = "put manifests/"
    with pytest.raises(StorageUnreachableError):
        back_up(repository, "backup_1", {"a": noise(1, 2 * MIB)})
    dies.at = ""
    assert repository.backups() == []
    assert repository.check().ok
    left = chunks(dies)
    assert repository.prune(grace_seconds=0).chunks_locked == len(left) > 0
    manifest = back_up(repository, "backup_2", {"a": noise(1, 2 * MIB)})
    assert needed_chunks(repository, manifest) == left


def test_a_death_between_manifest_and_its_lock_is_made_good_by_the_next_holder(dies: Dies, key: UserKey) -> None:
    repository = Repository.create(dies, key=key)
    dies.at = "lock manifests/"
    with pytest.raises(StorageUnreachableError):
        back_up(repository, "backup_1", {"a": noise(1, 2 * MIB)})
    dies.at = ""
    assert dies.locked_until("manifests/database/backup_1") is None
    with repository.lease("anything"):
        pass
    assert lock_of(dies, "manifests/database/backup_1") > datetime.now(UTC) + (DAYS - 0.01) * DAY
    assert repository.check().ok
    with pytest.raises(ObjectLockedError):
        repository.forget("backup_1")


def test_a_backup_whose_lease_lapsed_at_the_commit_can_still_be_withdrawn(folder: Path, key: UserKey) -> None:
    class FallsAsleep(Folder):
        def put(self, name: str, data: bytes | bytearray | memoryview, *, replace: bool = False, bulk: bool = False) -> None:
            super().put(name, data, replace=replace, bulk=bulk)
            if name.startswith("manifests/"):
                self.ahead += timedelta(hours=1)
                for chunk in list(self.list("chunks")):
                    (folder / chunk.name).unlink()

    repository = Repository.create(FallsAsleep(folder), key=key)
    with pytest.raises(LeaseLostError, match="withdrawn"):
        back_up(repository, "backup_1", {"a": noise(1, MIB)})
    assert repository.backups() == []
