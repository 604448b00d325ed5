"""Checks of all that is stored: every byte is read in time, who needs what is damaged is bad, and nothing piles up."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.checking import Checking, CheckOptions
from holdfast.errors import TimeLimitError
from holdfast.repository import Manifest, ReadParts, Repository, UserKey, names, replicate
from holdfast.storage import Storage
from tests.clocked import ClockedStorage
from tests.repository.making import back_up, noise, read_all, text
from tests.repository.replicas import flipped, holding, objects, replica

KEY = UserKey.parse("11" * 32)
DAY = timedelta(days=1)
NOW = datetime(2025, 11, 23, 3, tzinfo=UTC)
OPTIONS = CheckOptions(interval=DAY, within=7 * DAY)
SHARED = noise(1, 3_000_000)


@pytest.fixture
def storage() -> ClockedStorage:
    return ClockedStorage()


@pytest.fixture
def repository(storage: ClockedStorage) -> Repository:
    """Three backups; the first two share their large table, the third shares nothing."""
    made = Repository.create(storage, key=KEY)
    back_up(made, "backup_1", {"base": text(1, 20_000), "table": SHARED})
    back_up(made, "backup_2", {"base": text(2, 20_000), "table": SHARED})
    back_up(made, "backup_3", {"config": noise(3, 900_000)}, backup_type="config")
    return made


def check(repository: Repository, options: CheckOptions = OPTIONS) -> Checking:
    """Make one run."""
    work = Checking(repository, "check_1", options)
    for part in work.due():
        work.read(part)
    work.mark()
    return work


def check_all(repository: Repository, storage: ClockedStorage) -> list[Checking]:
    """Make as many runs as there are parts, a day apart."""
    runs = []
    for _ in range(OPTIONS.parts):
        storage.ahead += DAY
        runs.append(check(repository))
    return runs


def damage(storage: Storage, repository: Repository, manifest: Manifest, entry: str) -> str:
    """Flip a bit in the first chunk that only data is in; return the chunk's name."""
    before = {one.object for one in repository.check([manifest.id]).problems}
    assert not before
    root = manifest.entry(entry).root
    name = names.chunk(root.chunk_id)
    if root.depth:
        listed = repository.sealed_in(storage).chunk(root.chunk_id)
        name = names.chunk(listed[:32])
    storage.put(name, flipped(storage.get(name)), replace=True)
    return name


def is_bad(repository: Repository, backup_id: str) -> bool:
    return repository.proof_index().is_bad(repository.manifest(backup_id))


@pytest.mark.parametrize("seed", range(3))
def test_every_part_is_read_again_within_as_many_runs_as_there_are_parts_whatever_runs_were_missed(
    seed: int, repository: Repository, storage: ClockedStorage
) -> None:
    gaps = random.Random(seed)
    read: list[list[int]] = []
    for _ in range(3 * OPTIONS.parts):
        storage.ahead += DAY * gaps.choice([0.2, 1, 1, 1, 2, 5, 30])
        read.append(check(repository).read_parts)
    for begin in range(len(read) - OPTIONS.parts + 1):
        seen = {part for run in read[begin : begin + OPTIONS.parts] for part in run}
        assert seen == set(range(1, OPTIONS.parts + 1))


def test_with_a_run_each_day_every_day_reads_one_part_and_each_chunk_is_read_once(
    repository: Repository, storage: ClockedStorage
) -> None:
    runs = check_all(repository, storage)
    assert [run.read_parts for run in runs] == [[part] for part in range(1, 8)]
    assert all(run.ok and len(run.backups) == 3 for run in runs)
    data_bytes = len(SHARED) + 2 * 20_000 + 900_000
    assert sum(run.bytes_read for run in runs) == data_bytes, "the table that two backups share was read once"
    storage.ahead += DAY
    assert check(repository).read_parts == [1]


def test_after_missed_runs_everything_is_caught_up_with_so_that_no_byte_is_older_than_allowed(
    repository: Repository, storage: ClockedStorage
) -> None:
    check_all(repository, storage)
    storage.ahead += 2 * DAY
    assert check(repository).read_parts == [1, 2]
    storage.ahead += 30 * DAY
    assert sorted(check(repository).read_parts) == [1, 2, 3, 4, 5, 6, 7]


def test_damage_is_found_within_a_round_and_exactly_the_backups_that_need_it_become_bad(
    repository: Repository, storage: ClockedStorage
) -> None:
    name = damage(storage, repository, repository.manifest("backup_1"), "table")
    runs = check_all(repository, storage)
    first = next(place for place, run in enumerate(runs) if not run.ok)
    assert [run.ok for run in runs] == [place < first for place in range(7)], "what is damaged stays so until it is healed"
    found = runs[first].document()
    assert (found["bad"], found["ok"], found["part"]) == (["backup_1", "backup_2"], False, f"{first + 1}/7")
    assert all(name in problem for problem in found["problems"])
    assert [is_bad(repository, f"backup_{number}") for number in (1, 2, 3)] == [True, True, False]
    assert [(one.type, one.ids, one.fresh) for one in runs[first].bad] == [("database", ("backup_2", "backup_1"), True)]
    again = [one.fresh for run in runs[first + 1 :] for one in run.bad]
    assert not any(again), "a fresh backup was asked for a second time"
    assert len(repository.proofs("backup_1")) == 2


def test_a_fresh_backup_heals_the_bad_ones_and_the_next_check_says_so(repository: Repository, storage: ClockedStorage) -> None:
    damage(storage, repository, repository.manifest("backup_1"), "table")
    check_all(repository, storage)
    back_up(repository, "backup_4", {"base": text(4, 20_000), "table": SHARED})
    storage.ahead += DAY
    run = check(repository)
    assert run.ok
    assert run.levels == {"backup_1": "stored", "backup_2": "stored"}
    assert not is_bad(repository, "backup_1")
    assert read_all(repository, repository.manifest("backup_1"))["table"] == SHARED
    check_all(repository, storage)
    assert [repository.verified_level(f"backup_{number}") for number in (1, 2, 3, 4)] == ["read"] * 4


def test_what_a_replica_has_is_healed_from_there_and_no_backup_becomes_bad(storage: ClockedStorage) -> None:
    made = Repository.create(storage, key=KEY)
    back_up(made, "backup_1", {"table": SHARED})
    good = objects(storage)
    name = damage(storage, made, made.manifest("backup_1"), "table")
    with_replica = Repository.open(storage, key=KEY, replicas=[replica("good", good)])
    runs = check_all(with_replica, storage)
    assert all(run.ok for run in runs)
    healed = [one for run in runs for one in run.document()["healed"]]
    assert len(healed) == 1
    assert name in healed[0]
    assert (is_bad(made, "backup_1"), made.verified_level("backup_1")) == (False, "read")
    assert made.check().ok


def test_proofs_do_not_pile_up_with_the_runs(repository: Repository, storage: ClockedStorage) -> None:
    levels = []
    for run in check_all(repository, storage) + check_all(repository, storage) + check_all(repository, storage):
        levels.append(dict(run.levels))
    assert levels[6] == {"backup_1": "read", "backup_2": "read", "backup_3": "read"}
    assert not any(levels[:6] + levels[7:])
    assert Counter(len(repository.proofs(one.id)) for one in repository.backups()) == {2: 3}
    assert [info.name for info in storage.list("checks")] == ["checks/parts"]


def test_a_backup_counts_as_read_only_when_each_part_was_read_after_it_was_made(
    repository: Repository, storage: ClockedStorage
) -> None:
    check_all(repository, storage)
    storage.ahead += DAY
    check(repository)
    back_up(repository, "backup_4", {"base": noise(4, 500_000)})
    for _ in range(OPTIONS.parts - 1):
        storage.ahead += DAY
        check(repository)
    assert repository.verified_level("backup_4") == "stored"
    storage.ahead += DAY
    check(repository)
    assert repository.verified_level("backup_4") == "read"


def test_what_a_restore_found_bad_is_not_called_good_by_a_check(repository: Repository, storage: ClockedStorage) -> None:
    manifest = repository.manifest("backup_2")
    repository.add_proof(manifest.id, "proven", ok=False, problems=["42 rows"], figures={}, started_at=manifest.started_at)
    assert all(run.ok for run in check_all(repository, storage))
    assert is_bad(repository, "backup_2")
    assert len(repository.proofs("backup_2")) == 2


def test_a_fresh_backup_that_comes_out_bad_too_asks_for_no_further_one(repository: Repository, storage: ClockedStorage) -> None:
    fresh = []
    for number in range(4, 8):
        damage(storage, repository, back_up(repository, f"backup_{number}", {"base": noise(number, 300_000)}), "base")
        fresh += [one.fresh for run in check_all(repository, storage) for one in run.bad if one.ids[0] == f"backup_{number}"]
    assert fresh.count(True) == 1


@pytest.mark.parametrize("lost", [False, True], ids=["damaged", "lost"])
def test_a_manifest_that_is_damaged_or_gone_makes_its_backup_bad_and_asks_for_a_fresh_one_once(
    repository: Repository, storage: ClockedStorage, lost: bool
) -> None:
    name = names.manifest("database", "backup_2")
    storage.delete(name) if lost else storage.put(name, flipped(storage.get(name)), replace=True)
    opened = Repository.open(storage, key=KEY)
    first, second = check(opened), check(opened)
    assert first.document()["bad"] == second.document()["bad"] == ["backup_2"]
    assert [(one.type, one.fresh) for one in (*first.bad, *second.bad)] == [("database", True), ("database", False)]


def test_a_backup_that_was_just_being_committed_is_no_damage(repository: Repository, storage: ClockedStorage) -> None:
    manifest = back_up(repository, "backup_4", {"base": b"new"})
    receipt = names.proof(manifest.id, manifest.finished_at)
    storage.delete(receipt)
    assert check(repository).ok
    storage.delete(receipt)
    storage.ahead += DAY
    assert not check(repository).ok


def test_what_was_read_before_the_time_was_up_is_not_read_again(repository: Repository, storage: ClockedStorage) -> None:
    check(repository)
    storage.ahead += 30 * DAY
    work = Checking(repository, "check_2", OPTIONS)
    due = work.due()
    work.read(due[0])
    work.options = CheckOptions(DAY, 7 * DAY, time_limit_seconds=0)
    with pytest.raises(TimeLimitError, match="0 seconds"):
        work.read(due[1])
    assert check(repository).read_parts == [*due[1:]]


def test_a_record_that_can_not_be_read_is_told_and_everything_is_read_anew(
    repository: Repository, storage: ClockedStorage
) -> None:
    check_all(repository, storage)
    storage.put(names.READ_PARTS, flipped(storage.get(names.READ_PARTS)), replace=True)
    storage.ahead += DAY
    run = check(repository)
    assert (run.ok, run.read_parts, run.document()["bad"]) == (False, [1], [])
    assert all(names.READ_PARTS in problem for problem in run.document()["problems"])
    storage.ahead += DAY
    assert check(repository).ok


def test_the_record_of_what_was_read_is_not_copied_to_replicas(repository: Repository, storage: ClockedStorage) -> None:
    check(repository)
    target = holding({})
    replicate(storage, target, repository=repository)
    assert not list(target.list("checks"))


@pytest.mark.parametrize(
    ("hours", "days", "parts"), [(24, 7, 7), (1, 7, 168), (12, 7, 14), (168, 7, 1), (720, 7, 1), (24, 30, 30), (5, 1, 4)]
)
def test_as_many_parts_as_there_are_runs_in_the_time(hours: int, days: int, parts: int) -> None:
    assert CheckOptions(timedelta(hours=hours), days * DAY).parts == parts


times = st.one_of(st.none(), st.integers(0, 1000).map(lambda hours: NOW - timedelta(hours=hours)))


@given(st.lists(times, min_size=1, max_size=24), st.integers(1, 24))
def test_another_number_of_parts_takes_no_chunk_for_read_that_was_not(read_at: list[datetime | None], count: int) -> None:
    before = ReadParts(NOW - 50 * DAY, tuple(read_at))
    after = before.divided(count)
    assert after.count == count
    for chunk in range(count * before.count):
        was, is_ = before.read_at[chunk % before.count], after.read_at[chunk % count]
        assert is_ is None or (was is not None and is_ <= was)
    assert before.divided(before.count) == before


@given(st.lists(times, min_size=1, max_size=24), st.integers(-2000, 2000))
def test_a_clock_that_jumps_leaves_no_part_unread(read_at: list[datetime | None], jump_hours: int) -> None:
    now = NOW + timedelta(hours=jump_hours, minutes=1)
    parts = ReadParts(NOW - 50 * DAY, tuple(read_at))
    within = parts.count * DAY
    seen: set[int] = set()
    for run in range(parts.count):
        moment = now + run * DAY
        parts = parts.as_of(moment)
        for part in parts.due(moment, within=within, interval=DAY):
            parts = parts.with_read(part, moment)
            seen.add(part)
    assert seen == set(range(1, parts.count + 1))
    assert (parts.whole_since() or NOW) >= now


def test_what_is_kept_of_a_check_reads_back_as_it_was(repository: Repository) -> None:
    parts = ReadParts(NOW, (None, NOW + DAY, None), ("backup_1",))
    repository.checks.put(parts)
    assert repository.checks.parts() == parts
