"""Healing: whatever is damaged or lost in the primary is brought back from a replica that has it good, and from no other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.errors import BusyError, KeyMissingError, ObjectLockedError, WrongKeyError
from holdfast.repository import CheckReport, Manifest, Repository, UserKey, check_storage, names, replicate
from holdfast.storage import LocalStorage, MemoryStorage, Storage, StorageSettings
from holdfast.storage.replica import Replica

from .making import back_up, noise, read_all, text
from .replicas import Objects, bad_replicas, flipped, holding, objects, replica

CONTENTS = {
    "backup_1": {"base": text(1, 400_000), "table/a": noise(1, 3_000_000), "empty": b""},
    "backup_2": {"base": text(1, 400_000) + b"more", "table/a": noise(1, 3_000_000)},
}
OTHER_KEY = UserKey.parse("22" * 32)


@pytest.fixture(scope="module", params=["encrypted", "plain"])
def pristine(request: pytest.FixtureRequest) -> tuple[UserKey | None, Objects]:
    key = UserKey.parse("11" * 32) if request.param == "encrypted" else None
    storage = MemoryStorage()
    repository = Repository.create(storage, key=key, encrypt=key is not None)
    if key is not None:
        repository.keys.add(OTHER_KEY, "second")
        repository.keys.remove(repository.keys.add(UserKey.parse("33" * 32), "third").id)
    for backup_id, contents in CONTENTS.items():
        manifest = back_up(repository, backup_id, contents)
        repository.add_proof(backup_id, "read", ok=True, problems=[], figures={}, started_at=manifest.started_at)
    return key, objects(storage)


def _replicas(key: UserKey | None, content: Objects) -> list[Replica]:
    return [*bad_replicas(content, key), replica("good", content)]


def _kept(storage: Storage) -> Objects:
    """What is there, but for what was set aside."""
    return {name: data for name, data in objects(storage).items() if not name.startswith("damaged/")}


def _harms(content: Objects) -> Iterator[tuple[str, bytes | None]]:
    """Each object flipped, cut short and gone; but the loss of a proof later than the receipt leaves no trace."""
    first = {min(name for name in content if name.startswith(f"proofs/{backup_id}/")) for backup_id in CONTENTS}
    for name, data in content.items():
        yield name, flipped(data)
        yield name, data[: len(data) // 2]
        if not name.startswith("proofs/") or name in first:
            yield name, None


def _harm(storage: Storage, name: str, data: bytes | None) -> None:
    if data is None:
        storage.delete(name)
    else:
        storage.put(name, data, replace=True)


def _data_chunks(manifest: Manifest, content: Objects) -> list[str]:
    """Name the chunks of a small backup that hold data: all but its entries' lists, without which others are not known."""
    lists = {names.chunk(entry.root.chunk_id) for entry in manifest.entries}
    return sorted(name for name in content if name.startswith("chunks/") and name not in lists)


def _named(report: CheckReport) -> set[str]:
    return {problem.object for problem in report.problems}


def test_any_object_damaged_or_lost_is_healed_from_the_one_good_replica_among_bad_ones(
    pristine: tuple[UserKey | None, Objects],
) -> None:
    key, content = pristine
    replicas = _replicas(key, content)
    for name, data in _harms(content):
        storage = holding(content)
        _harm(storage, name, data)
        report = check_storage(storage, key, replicas=replicas, repair=True)
        assert report.ok, (name, report.problems)
        by = "hostile" if name == "repository.json" else "good"  # whose copy of that file is right, and nothing else
        assert [(one.object, one.replica) for one in report.healed] == [(name, by)]
        assert _kept(storage) == content
        aside = [data for name, data in objects(storage).items() if name.startswith("damaged/")]
        assert aside == ([] if data is None else [data]), "what was found is kept"
        assert check_storage(storage, key).ok


def test_any_object_damaged_or_lost_is_told_with_who_has_a_good_copy_and_nothing_is_written(
    pristine: tuple[UserKey | None, Objects],
) -> None:
    key, content = pristine
    replicas = _replicas(key, content)
    for name, data in _harms(content):
        storage = holding(content)
        _harm(storage, name, data)
        before = objects(storage)
        report = check_storage(storage, key, replicas=replicas)
        assert _named(report) == {name}
        assert report.content_ok
        assert "good" in report.problems[0].what or name == "repository.json"
        assert report.healed == []
        assert objects(storage) == before


def test_nothing_is_healed_from_replicas_that_are_all_bad(pristine: tuple[UserKey | None, Objects]) -> None:
    key, content = pristine
    for name, data in _harms(content):
        if name == "repository.json" and key is not None:
            continue  # every key file holds a copy of it
        storage = holding(content)
        _harm(storage, name, data)
        try:
            report = check_storage(storage, key, replicas=bad_replicas(content, key), repair=True)
        except WrongKeyError:
            assert name.startswith("keys/")
            continue
        assert report.healed == []
        assert not report.ok
        left = _kept(storage)
        mended = name.startswith("proofs/")  # a receipt is written again, and a damaged proof replaced by one that says so
        assert {other: found for other, found in left.items() if other != name} == {
            other: found for other, found in content.items() if other != name
        }
        assert mended or left.get(name) == data


def test_all_chunks_manifests_and_keys_lost_at_once_are_healed(pristine: tuple[UserKey | None, Objects]) -> None:
    key, content = pristine
    storage = holding(content)
    for name in content:
        if name.startswith(("chunks/", "keys/", "manifests/")):
            storage.delete(name)
    replicas = _replicas(key, content)
    told = check_storage(storage, key, replicas=replicas)
    assert not told.ok
    report = check_storage(storage, key, replicas=replicas, repair=True)
    assert report.ok, report.problems
    repository = Repository.open(storage, key=key)
    assert {one.id: read_all(repository, one.manifest) for one in repository.backups()} == CONTENTS
    healed = {one.object for one in report.healed}
    assert {name for name in content if name.startswith(("chunks/", "manifests/"))} <= healed
    assert report.objects_healed == len(healed)


def test_nothing_left_but_chunks_and_proofs_is_enough_to_know_whose_they_are(pristine: tuple[UserKey | None, Objects]) -> None:
    key, content = pristine
    storage = holding(content)
    for name in content:
        if name.startswith(("keys/", "manifests/", "repository.json")):
            storage.delete(name)
    report = check_storage(storage, key, replicas=_replicas(key, content), repair=True)
    assert report.ok, report.problems
    repository = Repository.open(storage, key=key)
    assert {one.id: read_all(repository, one.manifest) for one in repository.backups()} == CONTENTS


def test_a_replica_can_not_turn_an_encrypted_repository_into_a_plain_one(pristine: tuple[UserKey | None, Objects]) -> None:
    """Its owner has copies of all objects, and offers them beside a repository.json that says that there is no encryption."""
    key, content = pristine
    if key is None:
        return
    forged = MemoryStorage()
    plain = Repository.create(forged, key=None, encrypt=False)
    back_up(plain, "backup_1", {"base": b"forged"})
    for name, data in content.items():
        if name.startswith("chunks/"):
            forged.put(name, data)
    storage = holding(content)
    for name in content:
        if name.startswith(("keys/", "repository.json")):
            storage.delete(name)
    before = objects(storage)
    report = check_storage(storage, key, replicas=[replica("hostile", forged)], repair=True)
    assert report.healed == []
    assert "repository.json" not in objects(storage)
    assert _kept(storage).items() >= {name: data for name, data in before.items() if not name.startswith("proofs/")}.items()


def test_each_of_several_damaged_objects_comes_from_the_first_replica_that_has_it_good(key: UserKey) -> None:
    storage = MemoryStorage()
    repository = Repository.create(storage, key=key)
    back_up(repository, "backup_1", {"a": noise(1, 9_000_000)})
    content = objects(storage)
    chunks = sorted(name for name in content if name.startswith("chunks/"))
    first = {name: flipped(data) if name in chunks[1:] else data for name, data in content.items()}
    second = {name: data for name, data in content.items() if name not in chunks[2:]}
    third = {name: flipped(data) if name in chunks[:2] else data for name, data in content.items()}
    for name in chunks:
        storage.put(name, flipped(content[name]), replace=True)
    replicas = [replica("first", first), replica("second", second), replica("third", third)]
    opened = Repository.open(storage, key=key, replicas=replicas)
    report = opened.check(level="read", set_aside=True)
    assert report.ok, report.problems
    assert {one.object: one.replica for one in report.healed} == {
        name: "first" if name == chunks[0] else "second" if name == chunks[1] else "third" for name in chunks
    }
    assert _kept(storage) == content


def test_what_no_replica_has_good_is_set_aside_for_the_next_backup(key: UserKey) -> None:
    storage = MemoryStorage()
    contents = {"a": noise(1, 9_000_000)}
    manifest = back_up(Repository.create(storage, key=key), "backup_1", contents)
    content = objects(storage)
    chunks = [name for name in content if name.startswith("chunks/")]
    for name in chunks:
        storage.put(name, flipped(content[name]), replace=True)
    gone = _data_chunks(manifest, content)[0]
    partial = {name: data for name, data in content.items() if name != gone}
    report = check_storage(storage, key, replicas=[replica("partial", partial)], repair=True)
    assert _named(report) == {gone}
    assert (report.objects_healed, report.chunks_set_aside) == (len(chunks) - 1, 1)
    assert back_up(Repository.open(storage, key=key), "backup_2", contents).new_chunks == 1
    assert check_storage(storage, key).ok


def test_a_check_that_does_not_heal_calls_the_content_safe_only_where_a_replica_proved_good(key: UserKey) -> None:
    storage = MemoryStorage()
    manifest = back_up(Repository.create(storage, key=key), "backup_1", {"a": noise(1, 9_000_000)})
    content = objects(storage)
    lost, other = _data_chunks(manifest, content)[:2]
    storage.delete(lost)
    storage.delete(other)
    spares = [replica("good", {name: flipped(data) if name == other else data for name, data in content.items()})]
    assert not Repository.open(storage, key=key).check(level="stored").content_ok
    report = Repository.open(storage, key=key, replicas=spares).check(level="stored")
    assert {problem.object: problem.harms_content for problem in report.problems} == {lost: False, other: True}
    assert next(problem.what for problem in report.problems if problem.object == lost).endswith("a good copy is in good")


def test_a_removed_key_does_not_come_back_by_healing_where_one_replica_knows_of_the_removal(key: UserKey) -> None:
    storage = MemoryStorage()
    repository = Repository.create(storage, key=key)
    added = repository.keys.add(OTHER_KEY, "second")
    old = objects(storage)
    repository.keys.remove(added.id)
    back_up(repository, "backup_1", {"a": b"1"})
    new = objects(storage)
    storage.put(f"keys/{added.id}.json", b"", replace=True)
    report = check_storage(storage, key, replicas=[replica("old", old), replica("new", new)], repair=True)
    assert [(one.object, one.replica) for one in report.healed] == [(f"keys/{added.id}.json", "new")]
    with pytest.raises(WrongKeyError):
        Repository.open(storage, key=OTHER_KEY)


def test_a_manifest_of_the_same_name_that_the_proofs_do_not_speak_of_is_not_taken(key: UserKey) -> None:
    """As a replica may have it of a backup that was withdrawn and made again."""
    storage = MemoryStorage()
    repository = Repository.create(storage, key=key)
    back_up(repository, "backup_1", {"a": b"withdrawn"})
    old = objects(storage)
    repository.forget("backup_1")
    repository = Repository.open(storage, key=key)
    back_up(repository, "backup_1", {"a": b"made again"})
    good = objects(storage)
    name = "manifests/database/backup_1"
    storage.delete(name)
    report = check_storage(storage, key, replicas=[replica("old", old)], repair=True)
    assert (report.healed, storage.head(name)) == ([], None)
    assert check_storage(storage, key, replicas=[replica("old", old), replica("new", good)], repair=True).ok
    assert storage.get(name) == good[name]


def test_a_prune_and_a_repair_keep_out_of_each_other_s_way(key: UserKey) -> None:
    storage = MemoryStorage()
    repository = Repository.create(storage, key=key)
    back_up(repository, "backup_1", {"a": b"1"})
    with repository.lease("prune", exclusive=True), pytest.raises(BusyError, match="prune"):
        check_storage(storage, key, repair=True)
    assert check_storage(storage, key, repair=True).ok
    assert repository.leases() == []


def test_the_wrong_key_is_no_damage_to_be_healed(pristine: tuple[UserKey | None, Objects]) -> None:
    key, content = pristine
    if key is None:
        return
    storage = holding(content)
    with pytest.raises(WrongKeyError):
        check_storage(storage, UserKey.parse("44" * 32), replicas=_replicas(key, content), repair=True)
    with pytest.raises(KeyMissingError):
        check_storage(storage, None, replicas=_replicas(key, content), repair=True)
    assert objects(storage) == content


def test_replicas_on_disks_heal_what_a_replication_brought_them(folder: Path, key: UserKey, tmp_path: Path) -> None:
    primary = LocalStorage(folder)
    repository = Repository.create(primary, key=key)
    back_up(repository, "backup_1", CONTENTS["backup_1"])
    replicas = [Replica(name, StorageSettings(type="local", path=tmp_path / name)) for name in ("one", "two")]
    for one in replicas:
        assert replicate(primary, one.open(), repository=repository).ok
    for info in list(primary.list()):
        (folder / info.name).unlink()
        if info.name.startswith("chunks/"):
            (tmp_path / "one" / info.name).write_bytes(b"")
    assert replicate(replicas[1].open(), primary, repository=Repository.open(replicas[1].open(), key=key)).ok
    for info in list(primary.list("chunks")):
        (folder / info.name).write_bytes(b"\0" * info.size_bytes)
    report = check_storage(primary, key, replicas=replicas, repair=True)
    assert report.ok, report.problems
    assert {one.replica for one in report.healed} == {"two"}
    assert read_all(Repository.open(primary, key=key), repository.manifest("backup_1")) == CONTENTS["backup_1"]


def test_what_was_locked_and_is_damaged_all_the_same_is_healed_and_locked_again(folder: Path, key: UserKey) -> None:
    storage = LocalStorage(folder, immutable_days=5)
    back_up(Repository.create(storage, key=key), "backup_1", {"a": noise(1, 9_000_000)})
    content = _kept(storage)
    locked = [name for name in content if name.startswith(("chunks/", "manifests/", "keys/", "repository.json"))]
    for name in locked:
        (folder / name).chmod(0o600)
        (folder / name).write_bytes(flipped(content[name]))
    report = check_storage(storage, key, replicas=[replica("good", content)], repair=True)
    assert report.ok, report.problems
    assert {one.object for one in report.healed} == set(locked)
    assert _kept(storage) == content
    for name in locked:
        until = storage.locked_until(name)
        assert until is not None
        assert until > storage.clock()


def test_what_is_locked_against_change_stays_a_problem_that_says_so(key: UserKey) -> None:
    class Locked(MemoryStorage):
        def put(self, name: str, data: bytes | bytearray | memoryview, *, replace: bool = False, bulk: bool = False) -> None:
            if replace and name.startswith("chunks/"):
                raise ObjectLockedError(f"{name} is locked")
            super().put(name, data, replace=replace, bulk=bulk)

    storage = Locked()
    back_up(Repository.create(storage, key=key), "backup_1", {"a": b"1"})
    content = objects(storage)
    name = next(name for name in content if name.startswith("chunks/"))
    storage.delete(name)
    storage.put(name, b"damaged")
    for _ in range(2):
        report = check_storage(storage, key, replicas=[replica("good", content)], repair=True)
        (problem,) = report.problems
        assert "a good copy is in good, but what is here is locked" in problem.what
        assert not problem.harms_content
        assert [data for name, data in objects(storage).items() if name.startswith("damaged/")] == [b"damaged"]
