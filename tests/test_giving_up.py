"""Giving a backup up by hand: what would be lost is said, and the last one to come back to goes only when it is forced."""

from __future__ import annotations

from datetime import timedelta

import pytest

from holdfast.errors import BusyError, NotFoundError, RefusedError
from holdfast.giving_up import give_up, loss_of
from holdfast.repository import Repository, UserKey
from holdfast.storage import MemoryStorage
from tests.repository.making import back_up

KEY = UserKey.parse("11" * 32)


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


@pytest.fixture
def repository(storage: MemoryStorage) -> Repository:
    """Three backups, a day apart, of which the middle one is proven."""
    made = Repository.create(storage, key=KEY)
    for number in range(3):
        back_up(made, f"backup_{number}", {"a": bytes([number])}, snapshot_at=made.now - timedelta(days=number, hours=1))
    verified(made, "backup_1", ok=True)
    return made


def verified(repository: Repository, backup_id: str, *, ok: bool) -> None:
    problems = [] if ok else ["it differs"]
    repository.add_proof(backup_id, "proven", ok=ok, problems=problems, figures={}, started_at=repository.now)


def left(repository: Repository) -> list[str]:
    return [one.id for one in repository.backups()]


def test_without_a_yes_it_says_what_would_be_lost_and_with_one_it_goes(repository: Repository) -> None:
    with pytest.raises(RefusedError) as raised:
        give_up(repository, "backup_2", meant=False, forced=False)
    assert "would lose the database backup of " in str(raised.value.reason)
    assert raised.value.next_step == "If that is meant: holdfast repo forget backup_2 --yes"
    assert len(left(repository)) == 3
    give_up(repository, "backup_2", meant=True, forced=False)
    assert left(repository) == ["backup_0", "backup_1"]


def test_the_newest_proven_one_goes_only_when_it_is_forced(repository: Repository) -> None:
    with pytest.raises(RefusedError, match="it is the newest proven one") as raised:
        give_up(repository, "backup_1", meant=True, forced=False)
    assert raised.value.next_step == "If that is meant: holdfast repo forget backup_1 --yes --force"
    with pytest.raises(RefusedError):
        give_up(repository, "backup_1", meant=False, forced=True)
    assert loss_of(repository, "backup_0").dear is None
    give_up(repository, "backup_1", meant=True, forced=True)
    assert loss_of(repository, "backup_0").dear == "it is the newest good one, and none is proven"


def test_the_only_good_one_counts_as_such_whatever_its_time(storage: MemoryStorage) -> None:
    repository = Repository.create(storage, key=KEY)
    back_up(repository, "ahead", {"a": b"1"}, snapshot_at=repository.now + timedelta(days=9))
    assert loss_of(repository, "ahead").dear == "it is the only good one of its source"


def test_one_that_is_bad_goes_where_a_newer_one_is_good(repository: Repository) -> None:
    verified(repository, "backup_2", ok=False)
    verified(repository, "backup_0", ok=False)
    assert loss_of(repository, "backup_2").dear is None
    assert loss_of(repository, "backup_0").dear == "no good one of its source is newer"


def test_a_damaged_one_that_keeps_everything_from_being_pruned_can_be_given_up(
    repository: Repository, storage: MemoryStorage
) -> None:
    storage.delete("manifests/database/backup_2")
    storage.put("manifests/database/backup_2", b"nothing that can be read")
    damaged = Repository.open(storage, key=KEY)
    with pytest.raises(RefusedError, match="repo forget"):
        damaged.prune(grace_seconds=0)
    assert "damaged" in str(give_up(damaged, "backup_2", meant=True, forced=True))
    assert damaged.prune(grace_seconds=0).chunks_deleted > 0


def test_what_is_pinned_stays_and_what_is_not_there_is_said(repository: Repository) -> None:
    repository.pin("backup_2", "the auditors want it")
    with pytest.raises(RefusedError, match="the auditors want it"):
        give_up(repository, "backup_2", meant=True, forced=True)
    with pytest.raises(NotFoundError):
        give_up(repository, "backup_9", meant=True, forced=True)


def test_what_only_receipts_are_left_of_goes_when_it_is_forced(repository: Repository, storage: MemoryStorage) -> None:
    storage.delete("manifests/database/backup_1")
    bare = Repository.open(storage, key=KEY)
    with pytest.raises(RefusedError, match="--repair"):
        give_up(bare, "backup_1", meant=True, forced=False)
    give_up(bare, "backup_1", meant=True, forced=True)
    assert bare.proofs("backup_1") == []


def test_while_a_clean_up_is_at_work_nothing_is_given_up_beside_it(repository: Repository) -> None:
    with repository.lease("cleanup", holder="elsewhere:1"), pytest.raises(BusyError):
        give_up(repository, "backup_2", meant=True, forced=False)
