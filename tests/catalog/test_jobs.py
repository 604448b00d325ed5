"""The life of a row: opened, started, noted, closed once, found dead, listed."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.catalog import Catalog, JobRecord, RestoreRecord
from holdfast.errors import WorkFailedError
from holdfast.postgres.connection import DatabaseUrl
from tests.catalog.conftest import Ask


def test_a_backup_goes_from_pending_to_running_to_completed(catalog: Catalog) -> None:
    assert catalog.open_job("backup_1", "database", {"host": "here"})
    opened = catalog.job("backup_1")
    assert opened is not None
    assert (opened.status, opened.completed_at, opened.metadata) == ("pending", None, {"host": "here"})

    assert catalog.start_job("backup_1", {"leaseId": "lease"})
    assert catalog.note_job("backup_1", {"host": "there", "newChunks": 3})
    assert catalog.close_job("backup_1", "completed", size_bytes=10, checksum="ab", location="/r/x", metadata={"entries": 2})
    closed = catalog.job("backup_1")
    assert closed is not None
    assert closed.started_at >= opened.started_at
    assert closed.completed_at is not None
    assert closed.completed_at >= closed.started_at
    assert closed == JobRecord(
        job_id="backup_1",
        type="database",
        status="completed",
        started_at=closed.started_at,
        completed_at=closed.completed_at,
        size_bytes=10,
        checksum="ab",
        location="/r/x",
        metadata={"host": "there", "leaseId": "lease", "newChunks": 3, "entries": 2},
    )


def test_a_restore_has_the_same_life_and_names_its_backup(catalog: Catalog) -> None:
    assert catalog.open_restore("restore_1", "latest", "database", {"mode": "new"})
    assert catalog.start_restore("restore_1", backup_id="backup_1")
    assert catalog.note_restore("restore_1", {"tables": 4})
    assert catalog.close_restore("restore_1", "failed", error_message="it broke", metadata={"mode": "promote"})
    assert not catalog.close_restore("restore_1", "completed")
    found = catalog.restore("restore_1")
    assert found is not None
    assert (found.backup_id, found.status, found.error_message) == ("backup_1", "failed", "it broke")
    assert found.metadata == {"mode": "promote", "tables": 4}
    assert catalog.restores(backup_id="backup_1") == [found]
    assert catalog.restores(backup_id="backup_2") == []


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled"])
def test_a_job_that_ended_is_not_ended_or_started_again(catalog: Catalog, end: str) -> None:
    catalog.open_job("backup_1", "database")
    assert catalog.close_job("backup_1", end, error_message="first")
    before = catalog.job("backup_1")
    assert not catalog.close_job("backup_1", "failed", error_message="second", metadata={"second": True})
    assert not catalog.start_job("backup_1", {"second": True})
    assert catalog.job("backup_1") == before


def test_of_many_who_close_a_job_at_once_one_does(catalog: Catalog) -> None:
    catalog.open_job("backup_1", "database")
    answers: list[bool] = []
    gate = threading.Barrier(5)

    def close(status: str) -> None:
        gate.wait()
        answers.append(catalog.close_job("backup_1", status))

    threads = [threading.Thread(target=close, args=("completed" if at % 2 else "failed",)) for at in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [False, False, False, False, True]


def test_notes_from_many_threads_all_arrive(catalog: Catalog) -> None:
    catalog.open_job("backup_1", "database")
    threads = [threading.Thread(target=catalog.note_job, args=("backup_1", {f"part{at}": at})) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = catalog.job("backup_1")
    assert found is not None
    assert found.metadata == {f"part{at}": at for at in range(8)}


def test_a_verification_can_be_noted_on_a_backup_that_ended(catalog: Catalog) -> None:
    catalog.open_job("backup_1", "database")
    catalog.close_job("backup_1", "completed", metadata={"storedBytes": 1})
    assert catalog.note_job("backup_1", {"verifiedLevel": "proven"})
    found = catalog.job("backup_1")
    assert found is not None
    assert (found.status, found.metadata) == ("completed", {"storedBytes": 1, "verifiedLevel": "proven"})


def test_a_run_tried_again_under_its_id_opens_its_row_again(catalog: Catalog) -> None:
    catalog.open_job("backup_1", "database", {"attempt": 1, "host": "here"})
    catalog.close_job("backup_1", "failed", error_message="the network")
    assert catalog.open_job("backup_1", "database", {"attempt": 2})
    again = catalog.job("backup_1")
    assert again is not None
    assert (again.status, again.completed_at, again.error_message) == ("pending", None, None)
    assert again.metadata == {"attempt": 2, "host": "here"}
    catalog.start_job("backup_1")
    assert catalog.close_job("backup_1", "completed")


def test_a_completed_backup_is_never_opened_again(catalog: Catalog) -> None:
    catalog.open_job("backup_1", "database")
    catalog.close_job("backup_1", "completed")
    before = catalog.job("backup_1")
    assert not catalog.open_job("backup_1", "database", {"attempt": 2})
    assert catalog.job("backup_1") == before


def test_a_start_that_is_said_twice_keeps_the_first_time(catalog: Catalog) -> None:
    catalog.open_job("backup_1", "database")
    catalog.start_job("backup_1")
    first = catalog.job("backup_1")
    assert catalog.start_job("backup_1", {"again": True})
    second = catalog.job("backup_1")
    assert first is not None
    assert second is not None
    assert second.started_at == first.started_at


def test_what_is_not_there_is_none_and_not_changed(catalog: Catalog) -> None:
    assert catalog.job("nothing") is None
    assert catalog.restore("nothing") is None
    assert not catalog.start_job("nothing")
    assert not catalog.note_job("nothing", {"a": 1})
    assert not catalog.close_job("nothing", "failed")


def test_only_an_end_ends_a_job_and_only_a_known_type_begins_one(catalog: Catalog) -> None:
    with pytest.raises(ValueError, match="'running' does not end a job"):
        catalog.close_job("backup_1", "running")
    with pytest.raises(WorkFailedError, match=r"opening a job.*type_check") as caught:
        catalog.open_job("backup_1", "tapes")
    assert "INSERT" not in str(caught.value)


def test_an_error_text_that_postgresql_cannot_hold_still_closes_the_job(catalog: Catalog) -> None:
    catalog.open_job("backup_1", "database")
    broken = "before\0after \udcff"
    metadata = {"text": broken, "key\0": [broken], "ratio": float("nan"), "at": datetime(2026, 1, 2, tzinfo=UTC)}
    assert catalog.close_job("backup_1", "failed", error_message=broken, metadata=metadata)
    found = catalog.job("backup_1")
    assert found is not None
    assert found.error_message == "before\N{REPLACEMENT CHARACTER}after ?"
    assert found.metadata["ratio"] is None
    assert found.metadata["at"] == "2026-01-02T00:00:00+00:00"
    catalog.note_job("backup_1", {"looks broken": ["C:\\u0000", "\\udcff", "a \N{GRINNING FACE}"]})
    again = catalog.job("backup_1")
    assert again is not None
    assert again.metadata["looks broken"] == ["C:\\u0000", "\\udcff", "a \N{GRINNING FACE}"]


def test_times_are_utc_whatever_the_servers_time_zone(url: DatabaseUrl, ask: Ask) -> None:
    ask(f"ALTER DATABASE {url.database} SET timezone = 'Asia/Tokyo'")
    with Catalog(url) as catalog:
        catalog.open_job("backup_1", "database")
        found = catalog.job("backup_1")
    assert found is not None
    assert found.started_at.utcoffset() == timedelta(0)
    assert abs(found.started_at - datetime.now(UTC)) < timedelta(minutes=5)


def test_lists_are_newest_first_and_filters_narrow_them(catalog: Catalog) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for at in range(6):
        kind = "config" if at % 2 else "database"
        catalog.open_job(f"backup_{at}", kind, at=start + timedelta(hours=at))
    catalog.close_job("backup_4", "failed")

    def names(found: list[JobRecord]) -> str:
        return "".join(one.job_id[-1] for one in found)

    assert names(catalog.jobs()) == "543210"
    assert names(catalog.jobs(type="database")) == "420"
    assert names(catalog.jobs(status="pending")) == "53210"
    assert names(catalog.jobs("database", "pending")) == "20"
    assert names(catalog.jobs(since=start + timedelta(hours=3))) == "543"
    assert names(catalog.jobs(before=start + timedelta(hours=3))) == "210"
    assert names(catalog.jobs(limit=2)) == "54"


def test_paging_shows_each_job_once_even_where_times_are_equal(catalog: Catalog) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    for at in range(7):
        catalog.open_job(f"backup_{at}", "database", at=moment)
        catalog.open_restore(f"restore_{at}", "backup_1", "database", at=moment)
    jobs: list[JobRecord] = []
    restores: list[RestoreRecord] = []
    while page := catalog.jobs(limit=3, before=jobs[-1] if jobs else None):
        jobs += page
    while more := catalog.restores(limit=3, before=restores[-1] if restores else None):
        restores += more
    assert [one.job_id for one in jobs] == [f"backup_{at}" for at in reversed(range(7))]
    assert [one.job_id for one in restores] == [f"restore_{at}" for at in reversed(range(7))]


def test_a_row_made_by_hand_without_times_or_metadata_is_listed_last(catalog: Catalog, ask: Ask) -> None:
    ask(
        "INSERT INTO backup_jobs (job_id, type, status, started_at, metadata) VALUES ('old', 'database', 'completed', NULL, NULL)"
    )
    catalog.open_job("backup_1", "database")
    assert [one.job_id for one in catalog.jobs()] == ["backup_1", "old"]
    assert catalog.note_job("old", {"a": 1})
    assert catalog.jobs()[1].metadata == {"a": 1}


def test_runs_that_died_are_closed_as_failed_by_whoever_looks_first(catalog: Catalog) -> None:
    catalog.open_job("backup_dead", "database")
    catalog.start_job("backup_dead")
    catalog.open_restore("restore_dead", "backup_1", "database")
    catalog.open_job("backup_alive", "database")
    catalog.open_job("backup_done", "database")
    catalog.close_job("backup_done", "completed")
    assert [one.job_id for one in catalog.open_work()] == ["backup_dead", "restore_dead", "backup_alive"]

    def is_alive(record: JobRecord | RestoreRecord) -> bool:
        return record.job_id.endswith("alive")

    assert catalog.close_dead(is_alive, "its process died") == ["backup_dead", "restore_dead"]
    assert catalog.close_dead(is_alive, "its process died") == []
    dead, restored = catalog.job("backup_dead"), catalog.restore("restore_dead")
    assert dead is not None
    assert restored is not None
    assert (dead.status, dead.error_message) == ("failed", "its process died")
    assert (restored.status, restored.error_message) == ("failed", "its process died")
    assert [one.job_id for one in catalog.open_work()] == ["backup_alive"]


def test_kept_configuration_comes_back_as_it_was(catalog: Catalog, ask: Ask) -> None:
    catalog.set_config("databaseBackupInterval", 12, "hours between backups")
    catalog.set_config("notificationChannels", ["email", "slack"])
    catalog.set_config("enableCompression", value=False)
    catalog.set_config("databaseBackupInterval", 6)
    assert catalog.config() == {
        "databaseBackupInterval": 6,
        "enableCompression": False,
        "notificationChannels": ["email", "slack"],
    }
    assert ask("SELECT description FROM backup_config WHERE config_key = 'databaseBackupInterval'") == [
        ("hours between backups",)
    ]
