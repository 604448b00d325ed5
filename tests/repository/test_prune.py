"""Prune deletes what no backup needs, and nothing else: not what is young, not under another's feet, not when in doubt."""

from __future__ import annotations

import io
import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from holdfast.errors import BusyError, LeaseLostError, NotFoundError, RefusedError, SettingsError, StorageUnreachableError
from holdfast.repository import Repository, UserKey
from holdfast.storage import LocalStorage, MemoryStorage, Storage

from .making import ZSTD, back_up, draft, noise, one_bit_off, read_all, text
from .test_lease import Skewed, dead

MIB = 1 << 20


def _chunks(storage: Storage) -> set[str]:
    return {info.name for info in storage.list("chunks")}


def test_what_no_backup_needs_is_deleted_and_the_rest_stays(repository: Repository) -> None:
    storage = repository._sealed.storage
    shared = noise(1, 2 * MIB)
    back_up(repository, "backup_1", {"a": shared, "b": noise(2, 2 * MIB)})
    needed_by_first = _chunks(storage)
    second = back_up(repository, "backup_2", {"a": shared, "c": text(3, 2 * MIB)})
    added = _chunks(storage) - needed_by_first
    repository.forget("backup_1")
    report = repository.prune(grace_seconds=0)
    assert report.chunks_deleted == len(needed_by_first - _chunks(storage)) > 0
    assert added <= _chunks(storage)
    assert report.chunks_kept == len(_chunks(storage))
    assert report.bytes_kept == sum(info.size_bytes for info in storage.list("chunks"))
    assert read_all(repository, second) == {"a": shared, "c": text(3, 2 * MIB)}
    assert repository.check(level="read").ok
    assert repository.prune(grace_seconds=0).chunks_deleted == 0
    assert list(storage.list("prune")) == []
    repository.forget("backup_2")
    repository.prune(grace_seconds=0)
    assert _chunks(storage) == set()


def test_a_dry_run_deletes_nothing_and_says_what_it_would(repository: Repository) -> None:
    storage = repository._sealed.storage
    back_up(repository, "backup_1", {"a": noise(1, 2 * MIB)})
    repository.forget("backup_1")
    before = _chunks(storage)
    dry = repository.prune(grace_seconds=0, dry_run=True)
    assert _chunks(storage) == before
    with repository.lease("backup"):
        repository.prune(grace_seconds=0, dry_run=True)
    wet = repository.prune(grace_seconds=0)
    assert (dry.chunks_deleted, dry.bytes_deleted) == (wet.chunks_deleted, wet.bytes_deleted) != (0, 0)


def test_the_grace_period_counts_by_the_storages_clock(key: UserKey) -> None:
    storage = Skewed()
    storage.ahead = timedelta(days=-400)
    repository = Repository.create(storage, key=key)
    back_up(repository, "backup_1", {"a": noise(1, MIB)})
    repository.forget("backup_1")
    spared = repository.prune(grace_seconds=3600)
    assert spared.chunks_deleted == 0
    assert spared.chunks_young > 0
    storage.ahead += timedelta(seconds=3601)
    assert repository.prune(grace_seconds=3600).chunks_deleted == spared.chunks_young
    with pytest.raises(SettingsError, match="negative"):
        repository.prune(grace_seconds=-1)


def test_what_an_unfinished_backup_stored_is_spared_while_it_is_young(repository: Repository) -> None:
    with repository.lease("backup") as lease, repository.writer(lease, compression=ZSTD) as writer:
        writer.store("a", "k", io.BytesIO(noise(1, 2 * MIB)))
    assert repository.prune().chunks_deleted == 0
    assert repository.prune(grace_seconds=0).chunks_deleted > 0


def test_nothing_is_pruned_while_somebody_is_at_work(repository: Repository) -> None:
    with repository.lease("restore", holder="host-b:9"), pytest.raises(BusyError, match="host-b:9"):
        repository.prune(grace_seconds=0)
    with repository.lease("prune", exclusive=True), pytest.raises(BusyError), repository.lease("backup"):
        pass


def test_nothing_is_pruned_while_a_manifest_can_not_be_read(repository: Repository) -> None:
    storage = repository._sealed.storage
    back_up(repository, "backup_1", {"a": noise(1, 2 * MIB)})
    back_up(repository, "backup_2", {"a": noise(2, 2 * MIB)})
    repository.forget("backup_2")
    name = "manifests/database/backup_1"
    good = storage.get(name)
    storage.put(name, good[:-1], replace=True)
    before = _chunks(storage)
    again = Repository(storage, repository._description, repository.keys._opened, None)
    with pytest.raises(RefusedError, match=name):
        again.prune(grace_seconds=0)
    assert _chunks(storage) == before
    storage.put(name, good, replace=True)
    assert again.prune(grace_seconds=0).chunks_deleted > 0


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_nothing_is_pruned_while_a_chunk_list_can_not_be_read(repository: Repository, damage: str) -> None:
    storage = repository._sealed.storage
    manifest = back_up(repository, "backup_1", {"a": noise(1, 6 * MIB)})
    root = manifest.entry("a").root
    assert root.depth == 1
    name = f"chunks/{root.id[:2]}/{root.id}"
    if damage == "missing":
        storage.delete(name)
    else:
        storage.put(name, one_bit_off(storage.get(name)), replace=True)
    before = _chunks(storage)
    with pytest.raises(RefusedError, match=f"{name}.*backup_1"):
        repository.prune(grace_seconds=0)
    assert _chunks(storage) == before
    repository.forget("backup_1")
    repository.prune(grace_seconds=0)


def test_the_list_of_what_is_deleted_is_durable_before_the_first_deletion(folder: Path, key: UserKey) -> None:
    happened: list[str] = []

    class Watched(LocalStorage):
        def put(self, name: str, data: bytes | bytearray | memoryview, *, replace: bool = False, bulk: bool = False) -> None:
            super().put(name, data, replace=replace, bulk=bulk)
            happened.append(f"put {name.split('/', maxsplit=1)[0]}")

        def sync(self) -> None:
            super().sync()
            happened.append("sync")

        def delete(self, name: str) -> None:
            super().delete(name)
            happened.append(f"delete {name.split('/', maxsplit=1)[0]}")

    repository = Repository.create(Watched(folder), key=key)
    back_up(repository, "backup_1", {"a": noise(1, 3 * MIB)})
    repository.forget("backup_1")
    happened.clear()
    repository.prune(grace_seconds=0)
    steps = [step for step in happened if "leases" not in step]
    listed, synced, first = steps.index("put prune"), steps.index("sync"), steps.index("delete chunks")
    assert listed < synced < first
    last = len(steps) - 1 - steps[::-1].index("delete chunks")
    assert "sync" in steps[last : steps.index("delete prune")], "the list goes only when the deletions are durable"


class BreaksOff(MemoryStorage):
    """A storage that stops answering after some deletions."""

    left = -1

    def delete(self, name: str) -> None:
        if name.startswith("chunks/") and self.left >= 0:
            if self.left == 0:
                raise StorageUnreachableError(f"could not delete {name}")
            self.left -= 1
        super().delete(name)


def test_a_prune_that_was_cut_short_is_finished_by_the_next_and_spares_what_is_needed_again(key: UserKey) -> None:
    storage = BreaksOff()
    repository = Repository.create(storage, key=key)
    needed_again, gone = noise(1, 3 * MIB), noise(2, 3 * MIB)
    back_up(repository, "backup_1", {"a": needed_again, "b": gone})
    repository.forget("backup_1")
    storage.left = 2
    with pytest.raises(StorageUnreachableError):
        repository.prune(grace_seconds=0)
    assert len(list(storage.list("prune"))) == 1
    storage.left = -1
    manifest = back_up(repository, "backup_2", {"a": needed_again})
    assert repository.check(level="read").ok
    assert repository.prune(grace_seconds=0).chunks_deleted > 0
    assert list(storage.list("prune")) == []
    assert read_all(repository, manifest) == {"a": needed_again}
    assert repository.check(level="read").ok


def test_a_prune_that_slept_past_its_lease_deletes_no_more(key: UserKey) -> None:
    class FallsAsleep(Skewed):
        asleep = False

        def delete(self, name: str) -> None:
            super().delete(name)
            if name.startswith("chunks/") and not self.asleep:
                self.asleep = True
                self.ahead += timedelta(seconds=3600)

    storage = FallsAsleep()
    repository = Repository.create(storage, key=key)
    back_up(repository, "backup_1", {str(number): noise(number, 300_000) for number in range(600)})
    repository.forget("backup_1")
    with pytest.raises(LeaseLostError):
        repository.prune(grace_seconds=0)
    assert len(_chunks(storage)) > 0, "the second batch was never begun"


def test_a_dead_backups_lease_lets_prune_in_and_the_backup_never_commits(key: UserKey) -> None:
    storage = Skewed()
    repository = Repository.create(storage, key=key)
    with dead(repository, "backup") as lease, repository.writer(lease, compression=ZSTD) as writer:
        entry = writer.store("a", "k", io.BytesIO(noise(1, 2 * MIB)))
        storage.ahead += timedelta(seconds=61)
        assert repository.prune(grace_seconds=0).chunks_deleted > 0
        with pytest.raises(LeaseLostError):
            writer.commit(draft("backup_1", entry))
    assert repository.backups() == []
    assert repository.check().ok


def test_left_overs_of_killed_puts_go_with_prune_when_they_are_old(folder: Path, key: UserKey) -> None:
    repository = Repository.create(LocalStorage(folder), key=key)
    (folder / "chunks/ab").mkdir(parents=True)
    (folder / "chunks/ab/x#1").write_bytes(b"half")
    repository.prune(grace_seconds=3600)
    assert (folder / "chunks/ab/x#1").exists()
    repository.prune(grace_seconds=0)
    assert not (folder / "chunks/ab/x#1").exists()


def test_backups_and_prunes_at_once_never_lose_a_chunk(folder: Path, key: UserKey) -> None:
    """One thread backs up and forgets, one prunes without grace, all the time; every backup that is there is whole."""
    Repository.create(LocalStorage(folder), key=key)
    over = threading.Event()
    failures: list[BaseException] = []

    def prune() -> None:
        repository = Repository.open(LocalStorage(folder), key=key)
        while not over.is_set():
            try:
                repository.prune(grace_seconds=0)
            except BusyError:
                over.wait(0.01)
            except BaseException as error:
                failures.append(error)
                return

    pruning = threading.Thread(target=prune)
    pruning.start()
    try:
        repository = Repository.open(LocalStorage(folder), key=key)
        for number in range(12):
            contents = {"a": noise(number % 3, 700_000), "b": text(number, 400_000)}
            while True:
                try:
                    manifest = back_up(repository, f"backup_{number}", contents)
                    break
                except BusyError:
                    continue
            assert read_all(repository, manifest) == contents
            if number >= 2:
                while True:
                    try:
                        repository.forget(f"backup_{number - 2}")
                        break
                    except BusyError:
                        continue
    finally:
        over.set()
        pruning.join()
    assert failures == []
    assert repository.check(level="read").ok


def test_a_forgotten_backup_is_gone_with_its_proofs_and_forgetting_it_again_says_so(repository: Repository) -> None:
    storage = repository._sealed.storage
    manifest = back_up(repository, "backup_1", {"a": b"1"})
    repository.add_proof("backup_1", "proven", ok=True, problems=[], figures={}, started_at=manifest.started_at)
    repository.forget("backup_1")
    assert {info.name.split("/")[0] for info in storage.list()} <= {"repository.json", "keys", "chunks"}
    for use in (repository.forget, repository.manifest):
        with pytest.raises(NotFoundError, match="backup_1"):
            use("backup_1")
    assert repository.check().ok
    assert repository.leases() == []


def test_a_damaged_backup_can_be_forgotten(repository: Repository) -> None:
    storage = repository._sealed.storage
    back_up(repository, "backup_1", {"a": b"1"})
    back_up(repository, "backup_2", {"a": b"2"})
    storage.put("manifests/database/backup_1", b"x", replace=True)
    storage.delete("manifests/database/backup_2")
    assert len(repository.check().problems) == 2
    repository.forget("backup_1")
    repository.forget("backup_2")
    assert repository.check().ok


def test_old_is_by_time_of_storing_not_of_the_snapshot(sealed_in_memory: Repository) -> None:
    """Backups are listed by when their snapshot was taken, whatever order they were stored in."""
    start = datetime.fromisoformat("2025-01-01T00:00:00+00:00")
    for backup_id, day in (("backup_b", 2), ("backup_c", 3), ("backup_a", 1)):
        back_up(sealed_in_memory, backup_id, {}, snapshot_at=start + timedelta(days=day))
    assert [one.id for one in sealed_in_memory.backups()] == ["backup_c", "backup_b", "backup_a"]
    assert sealed_in_memory.latest("database").id == "backup_c"
    with pytest.raises(NotFoundError, match="no secrets backup"):
        sealed_in_memory.latest("secrets")
