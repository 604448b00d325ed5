"""Spare copies: what the primary can't give is read from a replica, and nothing that a replica gives is believed unproven."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from holdfast.errors import DamagedError, NotFoundError, RefusedError, StorageUnreachableError
from holdfast.repository import Repository, UserKey
from holdfast.storage import LocalStorage, MemoryStorage, Storage, StorageSettings
from holdfast.storage.replica import Replica

from .making import back_up, noise, read_all, text
from .replicas import Objects, Unreachable, bad_replicas, flipped, holding, objects, replica

CONTENTS = {"a": noise(1, 5_000_000), "b": text(1, 400_000), "empty": b""}


@pytest.fixture(params=["encrypted", "plain"])
def pristine(request: pytest.FixtureRequest, key: UserKey) -> Objects:
    encrypt = request.param == "encrypted"
    storage = MemoryStorage()
    back_up(Repository.create(storage, key=key if encrypt else None, encrypt=encrypt), "backup_1", CONTENTS)
    return objects(storage)


def _chunks(content: Objects) -> list[str]:
    return [name for name in content if name.startswith("chunks/")]


def _key_of(content: Objects, key: UserKey) -> UserKey | None:
    return key if any(name.startswith("keys/") for name in content) else None


@pytest.mark.parametrize("harm", ["deleted", "flipped", "cut", "emptied"])
def test_a_backup_whose_chunks_are_all_lost_is_read_from_a_good_replica_past_all_bad_ones(
    pristine: Objects, key: UserKey, harm: str
) -> None:
    storage = holding(pristine)
    for name in _chunks(pristine):
        if harm == "deleted":
            storage.delete(name)
        else:
            data = {"flipped": flipped(pristine[name]), "cut": pristine[name][:-1], "emptied": b""}[harm]
            storage.put(name, data, replace=True)
    before = objects(storage)
    replicas = [*bad_replicas(pristine, _key_of(pristine, key)), replica("good", pristine)]
    repository = Repository.open(storage, key=key, replicas=replicas)
    assert read_all(repository, repository.manifest("backup_1")) == CONTENTS
    assert {one.replica for one in repository.spared} == {"good"}
    assert {one.object for one in repository.spared} == set(_chunks(pristine))
    assert repository.spared_count >= len(_chunks(pristine))
    assert objects(storage) == before, "reading heals nothing"
    repository.close()


def test_without_a_good_copy_the_primary_s_own_error_is_raised(pristine: Objects, key: UserKey) -> None:
    storage = holding(pristine)
    for name in _chunks(pristine):
        storage.delete(name)
    repository = Repository.open(storage, key=key, replicas=bad_replicas(pristine, _key_of(pristine, key)))
    with pytest.raises(DamagedError, match="it is missing"):
        read_all(repository, repository.manifest("backup_1"))
    assert (repository.spared, repository.spared_count) == ([], 0)


@pytest.mark.parametrize("harm", ["deleted", "flipped"])
def test_a_lost_or_damaged_manifest_is_read_from_a_replica(pristine: Objects, key: UserKey, harm: str) -> None:
    storage, name = holding(pristine), "manifests/database/backup_1"
    storage.delete(name)
    if harm == "flipped":
        storage.put(name, flipped(pristine[name]))
    replicas = [*bad_replicas(pristine, _key_of(pristine, key)), replica("good", pristine)]
    repository = Repository.open(storage, key=key, replicas=replicas)
    assert read_all(repository, repository.manifest("backup_1")) == CONTENTS
    assert [one.object for one in repository.spared] == [name]
    assert [one.id for one in repository.backups() if one.intact] == ([] if harm == "deleted" else ["backup_1"])


def test_a_backup_that_was_forgotten_does_not_come_back_from_a_replica(pristine: Objects, key: UserKey) -> None:
    storage = holding(pristine)
    repository = Repository.open(storage, key=key, replicas=[replica("good", pristine)])
    repository.forget("backup_1")
    with pytest.raises(NotFoundError):
        repository.manifest("backup_1")
    assert repository.check().ok


def test_a_primary_that_stops_answering_in_the_middle_is_no_end_and_is_not_asked_again_each_time(
    pristine: Objects, key: UserKey
) -> None:
    storage = Unreachable()
    storage.down = False
    holding(pristine, storage)
    repository = Repository.open(storage, key=key, replicas=[replica("good", pristine)])
    manifest = repository.manifest("backup_1")
    storage.down, storage.asked = True, 0
    assert read_all(repository, manifest) == CONTENTS
    assert storage.asked <= 2, "the first answer that did not come was enough, for each of the threads"
    storage.down = False
    assert read_all(repository, manifest) == CONTENTS
    assert storage.asked <= 2, "it rests for a while"


def test_an_object_that_only_the_resting_primary_has_is_still_asked_of_it(pristine: Objects, key: UserKey) -> None:
    storage = Unreachable()
    storage.down = False
    holding(pristine, storage)
    partial = dict(pristine)
    del partial[_chunks(pristine)[0]]
    repository = Repository.open(storage, key=key, replicas=[replica("partial", partial)])
    manifest = repository.manifest("backup_1")
    storage.down = True
    with pytest.raises(StorageUnreachableError):
        read_all(repository, manifest)
    storage.down = False
    assert read_all(repository, manifest) == CONTENTS


def test_a_replica_that_does_not_answer_is_not_asked_again_each_time(pristine: Objects, key: UserKey) -> None:
    storage, asleep = holding(pristine), Unreachable()
    for name in _chunks(pristine):
        storage.delete(name)
    replicas = [replica("asleep", asleep), replica("good", pristine)]
    repository = Repository.open(storage, key=key, replicas=replicas)
    assert read_all(repository, repository.manifest("backup_1")) == CONTENTS
    assert asleep.asked == 1


def test_a_damaged_answer_is_asked_for_once_more_before_it_counts(pristine: Objects, key: UserKey) -> None:
    """It may have been the network."""

    class Noisy(MemoryStorage):
        noisy = False

        def get(self, name: str) -> bytes:
            data = super().get(name)
            self.noisy = not self.noisy
            return flipped(data) if self.noisy and name.startswith(("chunks/", "manifests/")) else data

    storage = Noisy()
    holding(pristine, storage)
    repository = Repository.open(storage, key=key, replicas=[replica("good", pristine)])
    manifest = repository.manifest("backup_1")
    storage.noisy = False
    assert b"".join(repository.read(manifest.entry("a"), threads=1)) == CONTENTS["a"]
    assert repository.spared == []


def test_a_backup_does_not_rely_on_a_chunk_that_only_a_replica_has(pristine: Objects, key: UserKey) -> None:
    storage = holding(pristine)
    for name in _chunks(pristine):
        storage.put(name, flipped(pristine[name]), replace=True)
    Repository.open(storage, key=key).check(set_aside=True)
    repository = Repository.open(storage, key=key, replicas=[replica("good", pristine)])
    assert back_up(repository, "backup_2", CONTENTS).new_chunks == len(_chunks(pristine))
    assert Repository.open(storage, key=key).check().ok


def test_prune_does_not_read_through_replicas(pristine: Objects, key: UserKey) -> None:
    storage = holding(pristine)
    storage.put("manifests/database/backup_1", b"", replace=True)
    repository = Repository.open(storage, key=key, replicas=[replica("good", pristine)])
    assert repository.manifest("backup_1")
    with pytest.raises(RefusedError, match="nothing was deleted"):
        repository.prune(grace_seconds=0)


def test_what_was_read_from_replicas_is_listed_shortly_and_said_once(key: UserKey, caplog: pytest.LogCaptureFixture) -> None:
    storage = MemoryStorage()
    contents = {f"entry_{number}": b"%d" % number for number in range(60)}
    back_up(Repository.create(storage, key=key), "backup_1", contents)
    good = replica("good", objects(storage))
    for name in _chunks(objects(storage)):
        storage.delete(name)
    repository = Repository.open(storage, key=key, replicas=[good])
    with caplog.at_level(logging.WARNING):
        assert read_all(repository, repository.manifest("backup_1")) == contents
    assert (len(repository.spared), repository.spared_count) == (20, 60)
    assert len([record for record in caplog.records if "good" in record.getMessage()]) == 1


def test_a_replica_on_a_disk_that_is_not_mounted_is_passed_over_and_no_folder_is_made(
    pristine: Objects, key: UserKey, tmp_path: Path
) -> None:
    storage: Storage = holding(pristine)
    storage.delete(_chunks(pristine)[0])
    holding(pristine, LocalStorage(tmp_path / "there"))
    replicas = [Replica(name, StorageSettings(type="local", path=tmp_path / name)) for name in ("not mounted", "there")]
    repository = Repository.open(storage, key=key, replicas=replicas)
    assert read_all(repository, repository.manifest("backup_1")) == CONTENTS
    assert [one.replica for one in repository.spared] == ["there"]
    assert not (tmp_path / "not mounted").exists()
    repository.close()


def test_a_replica_that_hands_out_endless_bytes_does_not_fill_the_memory(pristine: Objects, key: UserKey) -> None:
    class Endless(MemoryStorage):
        parts = 0
        all_of_it = False

        def stream(self, name: str, *, part_bytes: int = 1 << 20):  # type: ignore[no-untyped-def]
            if name == "repository.json" and not self.all_of_it:
                yield from super().stream(name)
                return
            while True:
                self.parts += 1
                yield bytes(part_bytes)

    storage, endless = holding(pristine), Endless()
    holding(pristine, endless)
    storage.delete(_chunks(pristine)[0])
    repository = Repository.open(storage, key=key, replicas=[replica("endless", endless), replica("good", pristine)])
    assert read_all(repository, repository.manifest("backup_1")) == CONTENTS
    assert endless.parts == 17
    endless.all_of_it = True
    repository = Repository.open(storage, key=key, replicas=[replica("endless", endless), replica("good", pristine)])
    assert read_all(repository, repository.manifest("backup_1")) == CONTENTS
