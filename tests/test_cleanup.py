"""Clean-ups of real repositories: what is kept can be read, what goes was named before, whatever comes between loses nothing."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from holdfast.attempts import Attempts
from holdfast.catalog import Catalog
from holdfast.cleanup import Cleanup, How
from holdfast.errors import BusyError, HoldfastError
from holdfast.history import History
from holdfast.replica_cleanup import ReplicaOutcome, clean_replica
from holdfast.repository import Level, Repository, UserKey, replicate
from holdfast.retention import Rules
from holdfast.storage import LocalStorage, MemoryStorage, Storage, StorageSettings
from holdfast.stored import stored_bytes
from tests.repository.making import back_up, noise, one_bit_off, read_all
from tests.repository.replicas import HeldReplica, Unreachable, objects

KEY = UserKey.parse("11" * 32)
RULES = Rules({"database": 30, "function": 30, "config": 30, "secrets": 30}, keep_last=2)
DAY = timedelta(days=1)


def well(kind: str, source: str | None) -> None:
    """Say that the newest attempt succeeded."""


def how(**changes: object) -> How:
    return How(**{"job_id": "cleanup_1", "rules": RULES, "look": lambda: well, "grace_seconds": 0, **changes})  # type: ignore[arg-type]


def cleaned(repository: Repository, **changes: object) -> Cleanup:
    return Cleanup(History(repository), how(**changes)).run()


def names(repository: Repository) -> list[str]:
    return [one.id for one in repository.backups()]


def prove(repository: Repository, backup_id: str, level: Level = "proven", *, ok: bool = True) -> None:
    problems = [] if ok else ["it differs"]
    repository.add_proof(backup_id, level, ok=ok, problems=problems, figures={}, started_at=repository.now)


def contents(number: int) -> dict[str, bytes]:
    return {"shared": noise(1, 20_000), "own": noise(number, 5_000)}


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


@pytest.fixture
def repository(storage: MemoryStorage) -> Repository:
    """Six backups, ten days apart; the oldest but one is the only proven one."""
    made = Repository.create(storage, key=KEY)
    for number in range(6):
        back_up(made, f"backup_{number}", contents(number), snapshot_at=made.now - timedelta(days=10 * number, hours=1))
    prove(made, "backup_4")
    return made


def test_it_writes_its_plan_forgets_what_that_names_and_deletes_what_nobody_needs(
    repository: Repository, storage: MemoryStorage
) -> None:
    before = sum(info.size_bytes for info in storage.list("chunks"))
    done = cleaned(repository)
    assert names(repository) == ["backup_0", "backup_1", "backup_2", "backup_4"]
    assert [one.id for one in done.forgotten] == ["backup_5", "backup_3"]
    assert done.problems == []
    (record,) = repository.cleanups.list()
    assert record.plan is not None
    assert record.done is not None
    assert [(one["backup_id"], one["why"]) for one in record.plan["doomed"]] == [
        ("backup_5", "older than 30 days"),
        ("backup_3", "older than 30 days"),
    ]
    assert all(one["stored_bytes"] > 0 and len(one["checksum"]) == 64 for one in record.plan["doomed"])
    assert {one["backup_id"]: one["why"] for one in record.plan["kept"]}["backup_4"] == ["the newest proven one"]
    assert record.done["forgotten"] == ["backup_5", "backup_3"]
    freed = before - sum(info.size_bytes for info in storage.list("chunks"))
    assert record.done["freed_bytes"] == record.plan["freeable_bytes"] == done.freed_bytes == freed > 9_000
    assert repository.check(level="read").ok
    for one in repository.backups():
        assert read_all(repository, one.manifest) == contents(int(one.id[-1]))
    assert cleaned(repository).forgotten == [], "the next finds nothing to do"


def test_what_is_stored_is_what_a_clean_up_counted_and_what_was_added_since(
    repository: Repository, storage: MemoryStorage
) -> None:
    def there() -> int:
        return sum(info.size_bytes for info in storage.list("chunks"))

    def told() -> int:
        return stored_bytes(repository, [one.manifest for one in repository.backups()])

    assert told() == there()
    repository.forget("backup_0")  # which had added what all of them share
    assert told() < there()
    cleaned(repository)
    assert told() == there()
    back_up(repository, "backup_new", contents(9))
    assert told() == there()
    Cleanup(History(repository), how(look=lambda: Attempts(lambda: None))).run()
    assert told() == there()


def test_a_dry_run_tells_the_plan_and_changes_nothing(repository: Repository, storage: MemoryStorage) -> None:
    before = objects(storage)
    done = Cleanup(History(repository), how()).run(dry_run=True)
    assert [verdict.backup.id for verdict in done.the_plan.doomed] == ["backup_5", "backup_3"]
    assert done.the_plan.freeable_bytes is not None
    assert done.the_plan.freeable_bytes > 9_000
    assert objects(storage) == before


def between(repository: Repository, happens: Callable[[], object]) -> Cleanup:
    """Clean up, and let something happen between the plan and the first deletion."""
    cleanup = Cleanup(History(repository), how())
    with cleanup.turn() as lease:
        cleanup.plan()
        cleanup.write_plan()
        happens()
        cleanup.forget(lease)
    cleanup.prune()
    cleanup.conclude()
    return cleanup


def opened(repository: Repository) -> Repository:
    """What another process sees."""
    return Repository.open(repository._sealed.storage, key=KEY)


def test_what_is_pinned_after_it_was_planned_stays(repository: Repository) -> None:
    done = between(repository, lambda: opened(repository).pin("backup_5", "it is evidence"))
    assert names(repository) == ["backup_0", "backup_1", "backup_2", "backup_4", "backup_5"]
    assert "it is evidence" in done.spared["backup_5"]
    assert read_all(repository, repository.manifest("backup_5")) == contents(5)


def test_nothing_goes_because_of_a_proven_one_that_turns_out_bad_meanwhile(repository: Repository) -> None:
    done = between(repository, lambda: prove(opened(repository), "backup_4", ok=False))
    assert names(repository) == [f"backup_{number}" for number in range(6)]
    assert "backup_4, because of which it might go" in done.spared["backup_5"]


def test_what_is_proven_after_it_was_planned_stays_until_it_is_judged_again(repository: Repository) -> None:
    done = between(repository, lambda: prove(opened(repository), "backup_3"))
    assert [one.id for one in done.forgotten] == ["backup_5"]
    assert "not any more as it was" in done.spared["backup_3"]
    assert [one.id for one in cleaned(repository).forgotten] == ["backup_4"], "backup_3 is the newest proven one now"


def test_a_backup_that_fails_meanwhile_stops_the_deletions(repository: Repository) -> None:
    failed: list[str] = []
    cleanup = Cleanup(History(repository), how(look=lambda: lambda kind, source: failed[0] if failed else None))
    with cleanup.turn() as lease:
        cleanup.plan()
        cleanup.write_plan()
        failed.append("no route to host")
        cleanup.forget(lease)
    assert cleanup.forgotten == []
    assert set(cleanup.spared.values()) == {"no route to host"}


def test_what_somebody_else_forgot_meanwhile_is_no_failure(repository: Repository) -> None:
    done = between(repository, lambda: opened(repository).forget("backup_5"))
    assert done.spared == {"backup_5": "it is gone already"}
    assert done.problems == []


def test_nothing_is_done_before_the_plan_is_written(repository: Repository) -> None:
    cleanup = Cleanup(History(repository), how())
    with cleanup.turn() as lease:
        cleanup.plan()
        with pytest.raises(ValueError, match="not written"):
            cleanup.forget(lease)


def test_of_two_at_once_the_second_steps_back(repository: Repository) -> None:
    first, second = Cleanup(History(repository), how()), Cleanup(History(opened(repository)), how())
    with first.turn(), pytest.raises(BusyError, match="at the same work: cleanup"):
        second.run()
    assert len(names(repository)) == 6
    outcomes: list[object] = []

    def run(cleanup: Cleanup) -> None:
        try:
            outcomes.append(len(cleanup.run().forgotten))
        except BusyError:
            outcomes.append("busy")

    threads = [threading.Thread(target=run, args=(Cleanup(History(opened(repository)), how()),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(map(str, outcomes)) in (["0", "2"], ["2", "busy"])
    assert names(repository) == ["backup_0", "backup_1", "backup_2", "backup_4"]


def test_where_the_catalog_can_not_be_asked_nothing_is_deleted_and_it_is_said(repository: Repository) -> None:
    nowhere = Catalog("postgresql://postgres@127.0.0.1:1/holdfast?connect_timeout=2")
    done = cleaned(repository, look=lambda: Attempts(lambda: nowhere))
    assert done.forgotten == []
    assert len(names(repository)) == 6
    (refusal,) = done.the_plan.refused
    assert refusal.type == "database"
    assert "nobody can tell how the newest attempt ended" in refusal.why
    assert [one.type for one in cleaned(repository, look=lambda: Attempts(lambda: None)).the_plan.refused] == ["database"]


class Ahead(MemoryStorage):
    """A storage whose clock jumped ten years ahead."""

    def clock(self) -> datetime:
        return super().clock() + 3650 * DAY


def test_a_storage_whose_clock_jumped_ten_years_keeps_the_last_and_the_newest_proven() -> None:
    repository = Repository.create(Ahead(), key=KEY)
    for number in range(6):
        back_up(repository, f"backup_{number}", contents(number), snapshot_at=datetime.now().astimezone() - number * DAY)
    prove(repository, "backup_4")
    cleaned(repository)
    assert names(repository) == ["backup_0", "backup_1", "backup_4"]
    assert repository.check(level="read").ok


def test_a_damaged_manifest_stops_the_pruning_and_goes_when_newer_ones_are_good(
    repository: Repository, storage: MemoryStorage
) -> None:
    name = "manifests/database/backup_2"
    storage.put(name, one_bit_off(storage.get(name)), replace=True)
    repository = opened(repository)
    done = cleaned(repository)
    assert done.the_plan.refused, "by the storage's time it is the newest, as nobody knows when it was made"
    assert done.forgotten == []
    assert len(done.problems) == 1
    assert "prune was refused" in done.problems[0]
    assert done.the_plan.freeable_bytes is None
    back_up(repository, "backup_new", contents(0))
    assert "backup_2" in names(repository), "it was stored just now, so it is not old"
    later = Cleanup(History(repository), how())
    rules = Rules({**RULES.days}, keep_last=2)
    judged, _ = later.history.judged(rules, repository.now + 31 * DAY, well)
    assert "backup_2" in {verdict.backup.id for verdict in judged if verdict.goes}


def test_a_locked_backup_is_kept_and_says_until_when(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "repository", immutable_days=7)
    repository = Repository.create(storage, key=KEY)
    for number in range(4):
        back_up(repository, f"backup_{number}", contents(number), snapshot_at=repository.now - (40 + number) * DAY)
    done = cleaned(repository)
    assert done.forgotten == []
    locked = {verdict.backup.id for verdict in done.the_plan.kept if any(one.kind == "locked" for one in verdict.keeps)}
    assert locked == {"backup_2", "backup_3"}


def test_the_records_are_kept_for_a_year(repository: Repository, storage: MemoryStorage) -> None:
    now = repository.now
    for days in (800, 366, 364):
        repository.cleanups.put_done(repository.cleanups.put_plan({"schema": 1}, now - days * DAY), {"schema": 1})
    cleaned(repository)
    assert [(now - record.at).days for record in repository.cleanups.list()] == [-1, 364]
    assert len(list(storage.list("cleanups"))) == 4


@pytest.mark.parametrize("seed", range(12))
def test_whatever_the_history_every_kept_backup_reads_completely(seed: int) -> None:
    draw = random.Random(seed)
    repository = Repository.create(MemoryStorage(), key=KEY)
    made: dict[str, dict[str, bytes]] = {}
    for number in range(draw.randrange(4, 14)):
        backup_id, kind = f"backup_{number}", draw.choice(["database", "config"])
        made[backup_id] = {str(part): noise(draw.randrange(6), 30_000 * draw.randrange(1, 4)) for part in range(3)}
        moment = repository.now - draw.randrange(-10, 90) * DAY
        back_up(repository, backup_id, made[backup_id], backup_type=kind, snapshot_at=moment)  # type: ignore[arg-type]
        for _ in range(draw.randrange(3)):
            prove(repository, backup_id, draw.choice(["read", "proven"]), ok=draw.random() < 0.8)  # type: ignore[arg-type]
        if draw.random() < 0.2:
            repository.pin(backup_id)
    rules = Rules(RULES.days, draw.randrange(1, 4), *(draw.randrange(3) for _ in range(4)))
    done = cleaned(repository, rules=rules)
    kept = {verdict.backup.id for verdict in done.the_plan.kept}
    assert set(names(repository)) == kept
    assert kept | {one.id for one in done.forgotten} == set(made)
    assert repository.check(level="read").problems == []
    for one in repository.backups():
        assert read_all(repository, one.manifest) == made[one.id]
    assert repository.prune(grace_seconds=0, dry_run=True).chunks_deleted == 0


def test_killed_before_any_step_it_loses_nothing_and_the_next_goes_on(tmp_path: Path) -> None:
    script = Path(__file__).with_name("killed_cleanup.py")
    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 20


# Replicas


@pytest.fixture
def copy(repository: Repository, storage: MemoryStorage) -> MemoryStorage:
    target = MemoryStorage()
    assert replicate(storage, target, repository=repository).ok
    return target


def on_replica(repository: Repository, target: Storage, **changes: object) -> ReplicaOutcome:
    replica = HeldReplica("copy", StorageSettings(type="s3", bucket="copy"), storage=target)
    return clean_replica(replica, repository, how(**changes))


def forgotten(outcome: ReplicaOutcome) -> list[str]:
    assert outcome.done is not None
    return [one.id for one in outcome.done.forgotten]


def test_what_the_primary_forgot_goes_from_the_replica_and_does_not_come_back(
    repository: Repository, storage: MemoryStorage, copy: MemoryStorage
) -> None:
    assert forgotten(on_replica(repository, copy)) == [], "the primary still holds all"
    cleaned(repository)
    outcome = on_replica(repository, copy)
    assert forgotten(outcome) == ["backup_5", "backup_3"]
    assert outcome.problems == []
    there = repository.copy_in(copy)
    assert names(there) == names(repository)
    assert there.check(level="read").ok
    assert len(list(copy.list("chunks"))) == len(list(storage.list("chunks")))
    assert len(there.cleanups.list()) == 2
    assert replicate(storage, copy, repository=repository).ok
    assert names(repository.copy_in(copy)) == names(repository)


def test_a_primary_that_was_emptied_takes_nothing_from_the_replica_that_the_rules_keep(
    repository: Repository, storage: MemoryStorage, copy: MemoryStorage
) -> None:
    for folder in ("proofs", "manifests", "chunks"):
        for info in list(storage.list(folder)):
            storage.delete(info.name)
    assert forgotten(on_replica(opened(repository), copy)) == ["backup_5", "backup_3"]
    there = repository.copy_in(copy)
    assert names(there) == ["backup_0", "backup_1", "backup_2", "backup_4"]
    assert there.check(level="read").ok


def test_pins_of_the_primary_and_of_the_replica_both_count(repository: Repository, copy: MemoryStorage) -> None:
    repository.copy_in(copy).pin("backup_3", "at the replica")
    repository.forget("backup_3")
    repository.pin("backup_5", "at the primary, since the last replication")
    repository._backups.forget("backup_5")  # lost by other means
    assert forgotten(on_replica(repository, copy)) == []
    repository.unpin("backup_5")
    assert forgotten(on_replica(repository, copy)) == ["backup_5"]
    assert names(repository.copy_in(copy))[3:] == ["backup_3", "backup_4"]


def test_while_the_newest_attempt_has_failed_nothing_goes_from_a_replica(repository: Repository, copy: MemoryStorage) -> None:
    repository.forget("backup_5")
    assert forgotten(on_replica(repository, copy, look=lambda: lambda kind, source: "no route to host")) == []
    assert forgotten(on_replica(repository, copy)) == ["backup_5"]


def test_a_copy_that_is_bad_does_not_count_at_the_replica(repository: Repository, copy: MemoryStorage) -> None:
    """What is proven is proven where it lies."""
    there = repository.copy_in(copy)
    prove(there, "backup_4", ok=False)
    prove(there, "backup_5")
    for number in (3, 4, 5):
        repository.forget(f"backup_{number}")
    assert forgotten(on_replica(repository, copy)) == ["backup_4", "backup_3"]
    assert "backup_5" in names(repository.copy_in(copy)), "it is the newest proven one there"


def test_a_replica_that_does_not_answer_or_holds_another_repository_is_told(repository: Repository) -> None:
    other = MemoryStorage()
    Repository.create(other, key=KEY)
    for target in (Unreachable(), other, MemoryStorage()):
        with pytest.raises(HoldfastError):
            on_replica(repository, target)


def test_a_replica_where_somebody_is_at_work_is_pruned_another_time(repository: Repository, copy: MemoryStorage) -> None:
    repository.forget("backup_5")
    with repository.copy_in(copy).lease("replication with the primary"):
        outcome = on_replica(repository, copy)
    assert forgotten(outcome) == ["backup_5"]
    (problem,) = outcome.problems
    assert "replication with the primary" in problem
    assert on_replica(repository, copy).problems == []
