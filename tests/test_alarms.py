"""What is judged to be an alarm, what is not judged, and that nothing is told as mended because nobody could look."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from holdfast.alarms import Ended, how_mended, judge
from holdfast.errors import (
    CheckFailedError,
    DamagedError,
    DrillFailedError,
    HoldfastError,
    KeyMissingError,
    ReplicationFailedError,
    StorageFullError,
    StorageUnreachableError,
    VerificationFailedError,
    WrongKeyError,
)
from holdfast.overview import BackupFacts, Failures, Overview, StorageOverview, TypeOverview

NOW = datetime(2026, 11, 28, 3, 10, tzinfo=UTC)
MADE = BackupFacts("backup_a", NOW - timedelta(hours=5), NOW - timedelta(hours=5), 100, 50, 3.0, "proven")
GOOD = TypeOverview("database", None, timedelta(hours=6), 1, MADE, proven=MADE, history=(MADE,), rpo=timedelta(hours=5))


def looked(**changes: Any) -> Overview:
    """Everything is well, but for these."""
    storage = StorageOverview("file:///backups", capacity_bytes=100, used_percent=50.0)
    return replace(Overview(NOW, None, (GOOD,), storage, seen=True, recorded=True), **changes)


def failed(times: int) -> Failures:
    return Failures(times, NOW - timedelta(minutes=10), "backup_c", "no connection: refused. Start the server")


def open_in(overview: Overview, ended: Ended | None = None, threshold: int = 3) -> set[str]:
    return {key for key, alarm in judge(overview, ended, threshold=threshold).items() if alarm is not None}


def test_where_all_is_well_everything_that_can_be_seen_is_judged_so() -> None:
    found = judge(looked(), None, threshold=3)
    assert set(found.values()) == {None}
    assert {"database-failing", "database-overdue", "database-rpo", "database-bad", "key", "storage-nearly-full", "rto"} <= set(
        found
    )


def test_failures_are_an_alarm_from_the_threshold_on_and_not_judged_below_it() -> None:
    for times, expected in ((1, None), (2, None), (3, "alarm"), (4, "alarm")):
        found = judge(looked(types=(replace(GOOD, failures=failed(times)),)), None, threshold=3)
        assert ("database-failing" in found) is (expected is not None)
    alarm = found["database-failing"]
    assert alarm is not None
    assert alarm.what == (
        "The last 4 attempts have all failed, the newest of them, backup_c at 2026-11-28 03:00 UTC with: "
        "no connection: refused. Start the server"
    )
    assert alarm.last_good == "backup_a, made 2026-11-27 22:10 UTC, proven"
    assert open_in(looked(types=(replace(GOOD, failures=failed(1)),)), threshold=1) == {"database-failing"}


def test_one_cause_is_not_told_as_failing_and_as_overdue() -> None:
    late = replace(GOOD, overdue=True)
    assert open_in(looked(types=(late,))) == {"database-overdue"}
    found = judge(looked(types=(replace(late, failures=failed(3)),)), None, threshold=3)
    assert found["database-failing"] is not None
    assert "database-overdue" not in found  # neither told nor taken back
    one_failure = judge(looked(types=(replace(late, failures=failed(1)),)), None, threshold=3)["database-overdue"]
    none_begun = judge(looked(types=(late,)), None, threshold=3)["database-overdue"]
    assert one_failure is not None
    assert none_begun is not None
    assert "no connection" in one_failure.what
    assert "none was begun" in none_begun.what
    assert "holdfast serve" in none_begun.next_step


def test_a_new_installation_is_not_alarmed_before_anything_could_be_proven() -> None:
    new = replace(GOOD, proven=None, rpo=None, rpo_target=timedelta(hours=6))
    assert new.rpo_missed
    assert open_in(looked(types=(new,))) == set()
    assert open_in(looked(types=(replace(new, history=()),))) == set()
    assert open_in(looked(at=NOW + timedelta(hours=2), types=(new,))) == {"database-rpo"}
    old = replace(GOOD, rpo=timedelta(hours=7), rpo_target=timedelta(hours=6))
    alarm = judge(looked(types=(old,)), None, threshold=3)["database-rpo"]
    assert alarm is not None
    assert alarm.since == MADE.snapshot_at + timedelta(hours=6)


def test_nothing_is_mended_because_nobody_could_look() -> None:
    blind = looked(seen=False, storage=None, types=(replace(GOOD, newest=None, proven=None, history=(), rpo=None),))
    assert set(judge(blind, None, threshold=3)) == {"database-failing"}
    assert judge(replace(blind, recorded=False), None, threshold=3) == {}
    failing = replace(blind, types=(replace(blind.types[0], failures=failed(3)),))
    alarm = judge(failing, None, threshold=3)["database-failing"]
    assert alarm is not None
    assert alarm.last_good == "not known: the repository could not be looked at"


def test_a_storage_near_the_limit_is_neither_opened_nor_mended_again_and_again() -> None:
    def at(percent: float | None, *, nearly: bool = False) -> dict[str, Any]:
        storage = StorageOverview("file:///backups", used_percent=percent, nearly_full=nearly)
        found = judge(looked(storage=storage), None, threshold=3, full_percent=90)
        return {key: alarm is not None for key, alarm in found.items() if key.startswith("storage")}

    assert at(90.0, nearly=True) == {"storage-nearly-full": True}
    assert at(89.0) == {}
    assert at(88.0) == {"storage-nearly-full": False}
    assert at(None) == {}


def test_the_time_to_come_back_is_judged_where_it_was_measured() -> None:
    target = looked(rto_target_seconds=60.0)
    assert "rto" not in judge(target, None, threshold=3)
    for seconds, alarmed in ((59.0, False), (61.0, True)):
        found = judge(replace(target, types=(replace(GOOD, rto_seconds=seconds),)), None, threshold=3)
        assert (found["rto"] is not None) is alarmed


@pytest.mark.parametrize(
    ("error", "kind", "seen", "key"),
    [
        (VerificationFailedError("no"), "verification", True, "database-verification"),
        (CheckFailedError("no"), "check", True, "check"),
        (DrillFailedError("no"), "drill", True, "drill"),
        (ReplicationFailedError("no"), "replication", True, "replication"),
        (StorageFullError("no"), "backup", True, "storage-full"),
        (KeyMissingError("no"), "backup", False, "key"),
        (WrongKeyError("no"), "verification", False, "key"),
        (DamagedError("no"), "backup", False, "repository"),
        (StorageUnreachableError("no"), "backup", False, None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, HoldfastError) else None,
)
def test_what_endangers_coming_back_is_an_alarm_at_once(error: HoldfastError, kind: str, seen: bool, key: str | None) -> None:
    assert open_in(looked(seen=seen), Ended(kind, "database", error)) == ({key} if key else set())


def test_a_full_storage_is_mended_by_a_backup_and_by_nothing_that_only_reads() -> None:
    assert "storage-full" not in judge(looked(), Ended("verification", "database"), threshold=3)
    assert judge(looked(), Ended("backup", "config"), threshold=3)["storage-full"] is None
    assert judge(looked(), Ended("verification", "database"), threshold=3)["database-verification"] is None


def test_the_newest_backup_that_is_bad_is_one_alarm_and_not_two() -> None:
    bad = looked(types=(replace(GOOD, newest_is_bad=True),))
    assert open_in(bad, Ended("verification", "database", VerificationFailedError("no"))) == {"database-bad"}


def test_a_type_that_is_off_is_nobodys_worry_and_its_mending_says_why() -> None:
    off = looked(types=(replace(GOOD, off_because="no database is set", failures=failed(9), newest_is_bad=True),))
    assert open_in(off) == set()
    assert how_mended("database-failing", off) == "This type is off now: no database is set"
    assert how_mended("database-failing", looked()) == "The newest good backup is backup_a, made 2026-11-27 22:10 UTC, proven"
    assert how_mended("key", looked()) is None
