"""A slip of the settings or a clock that jumps lets nearly everything go: not in the first night, and it is told."""

from __future__ import annotations

from datetime import timedelta

import pytest

from holdfast.cleanup import Cleanup, How
from holdfast.history import History
from holdfast.replica_cleanup import clean_replica
from holdfast.repository import Repository, UserKey, replicate
from holdfast.retention import Rules
from holdfast.storage import StorageSettings
from tests.clocked import ClockedStorage
from tests.repository.making import back_up
from tests.repository.replicas import HeldReplica

KEY = UserKey.parse("11" * 32)
LONG, SHORT = (Rules({"database": days, "config": days}, keep_last=1) for days in (30, 1))
DAY = timedelta(days=1)
OLD = [f"backup_{number}" for number in range(1, 10)]


@pytest.fixture
def storage() -> ClockedStorage:
    return ClockedStorage()


@pytest.fixture
def repository(storage: ClockedStorage) -> Repository:
    """Ten daily backups of a database, which have been cleaned up each night."""
    made = Repository.create(storage, key=KEY)
    for number in range(10):
        back_up(made, f"backup_{number}", {"a": bytes([number])}, snapshot_at=made.now - number * DAY - timedelta(hours=1))
    cleaned(made, LONG)
    storage.ahead += DAY
    return made


def cleaned(repository: Repository, rules: Rules, *, at_once: bool = False) -> Cleanup:
    look = lambda: lambda kind, source: None  # noqa: E731  all attempts succeeded
    return Cleanup(History(repository), How("cleanup_1", rules, look, grace_seconds=0, at_once=at_once)).run()


def test_what_shorter_rules_would_take_waits_for_a_day_and_is_a_problem_that_is_told(
    repository: Repository, storage: ClockedStorage
) -> None:
    done = cleaned(repository, SHORT)
    assert done.forgotten == []
    (problem,) = done.problems
    assert problem.startswith("of the type database nothing goes: 9 of 10 good backups would go at once")
    assert "holdfast cleanup --yes" in problem
    assert cleaned(repository, SHORT).forgotten == [], "a second run right after is no time to notice"
    storage.ahead += DAY
    assert sorted(one.id for one in cleaned(repository, SHORT).forgotten) == OLD


def test_rules_that_were_put_right_meanwhile_lose_nothing(repository: Repository, storage: ClockedStorage) -> None:
    cleaned(repository, SHORT)
    storage.ahead += DAY
    assert cleaned(repository, LONG).problems == []
    storage.ahead += DAY
    assert cleaned(repository, SHORT).forgotten == [], "they are new again"


def test_who_means_it_need_not_wait(repository: Repository) -> None:
    assert sorted(one.id for one in cleaned(repository, SHORT, at_once=True).forgotten) == OLD


def test_a_clock_that_jumps_far_ahead_is_told_before_anything_goes(repository: Repository, storage: ClockedStorage) -> None:
    storage.ahead += 3650 * DAY
    done = cleaned(repository, LONG)
    assert (done.forgotten, len(done.problems)) == ([], 1)


def test_few_backups_and_those_whose_days_are_over_by_rules_of_old_need_no_waiting(
    repository: Repository, storage: ClockedStorage
) -> None:
    few = Repository.create(ClockedStorage(), key=KEY)
    for number in range(5):
        back_up(few, f"backup_{number}", {"a": b"c"}, snapshot_at=few.now - number * DAY - timedelta(hours=1))
    assert len(cleaned(few, SHORT).forgotten) == 4
    storage.ahead += 35 * DAY  # nobody has cleaned up for as long
    assert sorted(one.id for one in cleaned(repository, LONG).forgotten) == OLD


def test_a_replica_whose_clock_is_ahead_goes_by_the_primarys(repository: Repository) -> None:
    there = ClockedStorage()
    assert replicate(repository.sealed_in(repository._sealed.storage).storage, there, repository=repository).ok
    for backup_id in OLD:
        repository.forget(backup_id)
    there.ahead = 3650 * DAY
    replica = HeldReplica("copy", StorageSettings(type="s3", bucket="copy"), storage=there)
    how = How("cleanup_1", LONG, lambda: lambda kind, source: None, grace_seconds=0, at_once=True)
    done = clean_replica(replica, repository, how).done
    assert done is not None
    assert done.forgotten == []
