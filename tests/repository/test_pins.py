"""A pinned backup stays, whoever would forget it and whenever death comes; replicas learn of pins and of their end."""

from __future__ import annotations

from datetime import timedelta

import pytest

from holdfast.errors import BusyError, NotFoundError, RefusedError, SettingsError
from holdfast.repository import Repository, UserKey, replicate
from holdfast.storage import MemoryStorage, Storage, StorageSettings

from .making import back_up, noise, one_bit_off, read_all
from .replicas import HeldReplica

CONTENTS = {"a": noise(1, 300_000)}


def _opened_again(repository: Repository) -> Repository:
    return Repository(_storage(repository), repository.description, repository._opened, None)


def _storage(repository: Repository) -> Storage:
    return repository._sealed.storage


def test_a_pinned_backup_can_not_be_forgotten_until_it_is_unpinned(repository: Repository) -> None:
    manifest = back_up(repository, "backup_1", CONTENTS)
    pin = repository.pin("backup_1", "before the great migration")
    assert repository.pins() == {"backup_1": pin}
    assert (pin.reason, pin.damaged, pin.holds) == ("before the great migration", None, True)
    with pytest.raises(RefusedError, match=r"pinned by .+: before the great"):
        _opened_again(repository).forget("backup_1")
    assert read_all(repository, manifest) == CONTENTS
    assert repository.verified_level("backup_1") == "stored"
    assert repository.unpin("backup_1")
    assert not repository.unpin("backup_1"), "it is not pinned any more"
    assert repository.pins() == {}
    repository.forget("backup_1")
    assert repository.backups() == []
    assert repository.check().ok


def test_what_is_not_there_can_not_be_pinned(repository: Repository) -> None:
    with pytest.raises(NotFoundError, match="no backup 'backup_9'"):
        repository.pin("backup_9")
    assert not repository.unpin("backup_9")
    assert not list(_storage(repository).list("pins"))


def test_a_reason_may_be_long_but_not_endless(sealed_in_memory: Repository) -> None:
    back_up(sealed_in_memory, "backup_1", {})
    assert sealed_in_memory.pin("backup_1", "x" * 500).reason == "x" * 500
    with pytest.raises(SettingsError, match="500 characters"):
        sealed_in_memory.pin("backup_1", "x" * 501)


def test_a_pin_that_comes_while_the_backup_is_being_forgotten_is_taken_back(sealed_in_memory: Repository) -> None:
    back_up(sealed_in_memory, "backup_1", CONTENTS)
    with sealed_in_memory.lease("forget") as lease:
        lease.intend({"action": "forget", "backup_id": "backup_1"})
        with pytest.raises(BusyError, match="just forgetting it"):
            sealed_in_memory.pin("backup_1")
        lease.intend(None)
    assert sealed_in_memory.pins() == {}
    assert sealed_in_memory.pin("backup_1").holds


def test_a_pinned_backup_whose_forgetting_was_cut_short_stays_and_is_whole(sealed_in_memory: Repository) -> None:
    """Nobody who obeys the rules deletes after the pin was put; but what a dead process intended is not done any more."""
    manifest = back_up(sealed_in_memory, "backup_1", CONTENTS)
    sealed_in_memory.pin("backup_1")
    with sealed_in_memory.lease("forget") as lease:
        lease.intend({"action": "forget", "backup_id": "backup_1"})
        for info in list(_storage(sealed_in_memory).list("proofs")):
            _storage(sealed_in_memory).delete(info.name)
    with sealed_in_memory.lease("the next one"):
        pass
    assert sealed_in_memory.verified_level("backup_1") == "stored"
    assert read_all(sealed_in_memory, manifest) == CONTENTS
    assert sealed_in_memory.check(level="read").ok


def test_a_damaged_pin_counts_as_a_pin_is_reported_and_healed_from_a_replica(key: UserKey) -> None:
    source, target = MemoryStorage(), MemoryStorage()
    repository = Repository.create(source, key=key)
    back_up(repository, "backup_1", CONTENTS)
    pin = repository.pin("backup_1", "for the auditors")
    assert replicate(source, target, repository=repository).ok
    source.put("pins/backup_1", one_bit_off(source.get("pins/backup_1")), replace=True)
    assert repository.pins()["backup_1"].damaged
    with pytest.raises(RefusedError, match="its pin is damaged"):
        repository.forget("backup_1")
    report = repository.check()
    assert ([problem.object for problem in report.problems], report.content_ok) == (["pins/backup_1"], True)
    replica = HeldReplica("copy", StorageSettings(type="local"), storage=target)
    with_spare = Repository.open(source, key=key, replicas=[replica])
    assert [one.object for one in with_spare.check(set_aside=True).healed] == ["pins/backup_1"]
    assert repository.pins() == {"backup_1": pin}


def test_a_pinned_backup_that_was_deleted_with_all_its_proofs_is_missed(sealed_in_memory: Repository) -> None:
    back_up(sealed_in_memory, "backup_1", CONTENTS)
    sealed_in_memory.pin("backup_1")
    for folder in ("manifests", "proofs"):
        for info in list(_storage(sealed_in_memory).list(folder)):
            _storage(sealed_in_memory).delete(info.name)
    report = _opened_again(sealed_in_memory).check()
    assert [(problem.object, problem.what) for problem in report.problems] == [
        ("pins/backup_1", "the backup that it is to keep is missing")
    ]
    assert sealed_in_memory.unpin("backup_1")
    assert _opened_again(sealed_in_memory).check().ok, "who unpins it has said that it need not be there"


@pytest.mark.parametrize("with_key", [True, False])
def test_replicas_learn_of_pins_and_with_the_key_of_their_end(key: UserKey, with_key: bool) -> None:
    source, target = MemoryStorage(), MemoryStorage()
    repository = Repository.create(source, key=key)
    for number in (1, 2):
        back_up(repository, f"backup_{number}", {})
        repository.pin(f"backup_{number}", "as it was")

    def pins_in_copy() -> dict[str, str]:
        assert replicate(source, target, repository=repository if with_key else None).ok
        return {backup_id: pin.reason for backup_id, pin in repository.copy_in(target).pins().items()}

    assert pins_in_copy() == {"backup_1": "as it was", "backup_2": "as it was"}
    repository.unpin("backup_1")
    repository.copy_in(target).pin("backup_2", "said at the replica, later")
    assert pins_in_copy() == {
        "backup_2": "said at the replica, later",
        **({} if with_key else {"backup_1": "as it was"}),
    }


def test_the_end_of_a_pin_is_known_for_a_year_after_its_backup_is_gone(sealed_in_memory: Repository) -> None:
    for number in (1, 2):
        back_up(sealed_in_memory, f"backup_{number}", {})
        sealed_in_memory.pin(f"backup_{number}")
        sealed_in_memory.unpin(f"backup_{number}")
    sealed_in_memory.forget("backup_1")
    assert sealed_in_memory.tidy_pins() == 0
    now = sealed_in_memory.now
    living = {one.id for one in sealed_in_memory.backups()}
    assert sealed_in_memory._pins.tidy(living, now + timedelta(days=364)) == 0
    assert sealed_in_memory._pins.tidy(living, now + timedelta(days=366)) == 1
    assert [info.name for info in _storage(sealed_in_memory).list("pins")] == ["pins/backup_2"]


def test_only_the_copy_of_this_repository_is_opened_as_one(key: UserKey) -> None:
    one, other = MemoryStorage(), MemoryStorage()
    Repository.create(other, key=key)
    with pytest.raises(RefusedError, match="another repository"):
        Repository.create(one, key=key).copy_in(other)
