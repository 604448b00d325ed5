"""Clean-ups as flows: what goes is told before and after, rows of what is there stay, replicas follow, and failures hold back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows.cleanup import cleanup
from flows.replication import replication
from holdfast.alarms import Alarm
from holdfast.catalog.mirror import Mirror
from holdfast.catalog.records import MaintenanceRecord
from holdfast.cleanup import PURPOSE
from holdfast.errors import BusyError, CleanupFailedError
from holdfast.open_alarms import OpenAlarm
from holdfast.opening import open_catalog
from holdfast.process_identity import this_process
from holdfast.repository import Repository
from holdfast.storage import LocalStorage
from orchestration import events
from orchestration.alarm_book import AlarmBook
from orchestration.dead_work import close_dead_work
from tests.flows.conftest import Installation, until
from tests.repository.making import back_up

AGES_DAYS = (400, 500, 600, 700, 800)
IDS = [f"backup_old_{age}" for age in AGES_DAYS]


@pytest.fixture
def old(installation: Installation) -> Iterator[Repository]:
    """Five backups that are older than their days, of a type whose newest attempt succeeded; the oldest is pinned."""
    repository = installation.repository
    for backup_id, age in zip(IDS, AGES_DAYS, strict=True):
        moment = datetime.now(UTC) - timedelta(days=age)
        back_up(repository, backup_id, {"a": backup_id.encode() * 1000}, backup_type="secrets", snapshot_at=moment)
    repository.pin(IDS[-1], "the auditors want it")
    attempted(installation, "completed")
    yield repository
    repository.unpin(IDS[-1])
    for one in repository.backups("secrets"):
        if one.id in IDS:
            repository.forget(one.id)


def attempted(installation: Installation, status: str) -> None:
    job_id = f"backup_attempt_{datetime.now(UTC):%H%M%S%f}"
    with installation.catalog() as catalog:
        catalog.open_job(job_id, "secrets")
        catalog.close_job(job_id, status, error_message=None if status == "completed" else "no route to host")


def there(installation: Installation) -> list[str]:
    return [one.id for one in installation.repository.backups("secrets") if one.id in IDS]


def test_a_dry_run_says_what_would_go_and_the_run_does_just_that(
    installation: Installation, old: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = tmp_path / "replica"
    monkeypatch.setenv("BACKUP_REPLICAS", replica.as_uri())
    assert replication()["status"] == "completed"

    shown = installation.artifacts("holdfast-dashboard")
    planned = cleanup(dry_run=True).unwrap()
    assert installation.artifacts("holdfast-dashboard") == shown, "nothing has changed that it would show"
    assert [(one["jobId"], one["why"]) for one in planned["deleted"]] == [(IDS[3], "older than 365 days")]
    (copied,) = planned["replicas"]
    assert [one["jobId"] for one in copied["deleted"]] == [IDS[3]]
    assert there(installation) == IDS
    assert planned["rows"] is None

    done = cleanup(job_id="cleanup_of_a_test").unwrap()
    assert installation.artifacts("holdfast-dashboard") != shown
    assert (done["jobId"], done["type"], done["status"], done["dryRun"]) == ("cleanup_of_a_test", "cleanup", "completed", False)
    assert done["deleted"] == planned["deleted"]
    assert there(installation) == [*IDS[:3], IDS[4]]
    why = {one["jobId"]: one["why"] for one in done["kept"]}
    assert why[IDS[0]] == ["the newest good one, for none is proven", "1 of the last 3 good ones"]
    assert why[IDS[4]][0].startswith("pinned by")
    (copied,) = done["replicas"]
    assert ([one["jobId"] for one in copied["deleted"]], copied["ok"], copied["problems"]) == ([IDS[3]], True, [])
    copy = Repository.open(LocalStorage(replica), key=installation.settings.user_key())
    assert {one.id for one in copy.backups()} == {one.id for one in installation.repository.backups()}
    shutil.rmtree(replica)

    assert all(installation.row(one["jobId"]).status == "completed" for one in done["kept"]), "a row of what is there was deleted"
    assert installation.row(IDS[3]).metadata["forgottenBy"] == "cleanup_of_a_test"
    kinds = ("backup_jobs", "restore_jobs", "executions", "failed_jobs", "maintenance_jobs")
    assert done["rows"].keys() == {f"deleted_{kind}" for kind in kinds}
    (record, *_) = installation.repository.cleanups.list()
    assert record.plan is not None
    assert record.done is not None
    assert record.done["forgotten"] == [one["backup_id"] for one in record.plan["doomed"]] == [IDS[3]]
    assert installation.events("cleanup_of_a_test")["holdfast.cleanup.completed"]["deleted"] == done["deleted"]
    assert IDS[3] in installation.artifacts("cleanup-plan")[-1]
    assert "cleanup_of_a_test" in installation.artifacts("cleanup-summary")[-1]


def test_a_dry_run_tells_of_what_it_found_dead_or_opens_again_and_mends_nothing_that_it_only_planned(
    installation: Installation,
) -> None:
    book = AlarmBook(None)
    opened = {key: OpenAlarm(Alarm(key, "is wrong", "it is", "mend it"), datetime.now(UTC)) for key in ("cleanup", "key")}
    book.write(book.read(), opened)
    try:
        cleanup(dry_run=True)
        assert book.read().keys() & opened.keys() == {"cleanup"}
    finally:
        book.write(book.read(), {})

    mine = this_process()
    with installation.catalog() as catalog:
        catalog.open_job("backup_of_nobody", "secrets", {**mine, "processStartedAt": mine["processStartedAt"] - 100})
    shown = installation.artifacts("holdfast-dashboard")
    cleanup(dry_run=True)
    assert installation.row("backup_of_nobody").status == "failed"
    assert installation.artifacts("holdfast-dashboard") != shown


def test_while_backups_of_a_type_fail_nothing_of_it_goes_and_it_is_said(installation: Installation, old: Repository) -> None:
    attempted(installation, "failed")
    attempted(installation, "cancelled")
    done = cleanup().unwrap()
    assert there(installation) == IDS
    (refused,) = [one for one in done["refused"] if one["type"] == "secrets"]
    assert "failed: no route to host" in refused["why"]
    assert done["status"] == "completed"


def test_a_replica_that_is_not_there_hinders_nothing(
    installation: Installation, old: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKUP_REPLICAS", (tmp_path / "gone").as_uri())
    done = cleanup().unwrap()
    (replica,) = done["replicas"]
    assert not replica["ok"]
    assert replica["problems"]
    assert (done["status"], [one["jobId"] for one in done["deleted"]]) == ("completed", [IDS[3]])
    assert not (tmp_path / "gone").exists()


def test_a_clean_up_that_waits_to_delete_is_not_taken_for_dead_by_what_begins_meanwhile(
    installation: Installation, old: Repository
) -> None:
    repository, job_id = installation.repository, "cleanup_that_waits"
    mirror = Mirror(lambda: open_catalog(installation.settings))
    with closing(mirror), ThreadPoolExecutor(1) as background:
        with repository.lease("somebody's backup"):
            running = background.submit(cleanup, job_id=job_id)
            until(lambda: len(there(installation)) == len(IDS) - 1)  # it has forgotten what it was to forget
            until(lambda: [lease.scope for lease in repository.leases() if lease.purpose.startswith(PURPOSE)] == ["turn"])
            assert not running.done()
            assert _row(installation, job_id).metadata["leaseId"] in {lease.id for lease in repository.leases()}
            with pytest.raises(BusyError, match="at the same work"):
                cleanup()
            assert job_id not in close_dead_work(mirror, repository)
        assert running.result().unwrap()["status"] == "completed"
    row = _row(installation, job_id)
    assert (row.status, row.error_message) == ("completed", None)


def _row(installation: Installation, job_id: str) -> MaintenanceRecord:
    with installation.catalog() as catalog:
        row = catalog.maintenance.find(job_id)
    assert row is not None
    return row


def test_of_a_clean_up_of_very_many_backups_prefect_still_hears(installation: Installation) -> None:
    kept = [{"jobId": f"backup_{number}", "why": ["within 365 days"]} for number in range(40_000)]
    events.emit(
        "cleanup.completed", job_id="cleanup_of_many", type="cleanup", payload={"kept": kept, "deleted": [], "rows": None}
    )
    heard = installation.events("cleanup_of_many")["holdfast.cleanup.completed"]
    assert heard == {"kept": kept[: events.LONGEST_LIST], "keptCount": 40_000, "deleted": []}


def test_what_keeps_it_from_doing_all_fails_the_run_which_says_what_was_done(installation: Installation, old: Repository) -> None:
    storage = LocalStorage(installation.settings.home / "repository")
    storage.put("manifests/config/backup_damaged", b"no manifest at all")
    try:
        with pytest.raises(CleanupFailedError, match="backup_damaged") as caught:
            cleanup()
    finally:
        storage.delete("manifests/config/backup_damaged")
    assert caught.value.found is not None
    assert [one["jobId"] for one in caught.value.found["deleted"]] == [IDS[3]]  # type: ignore[attr-defined]
    assert caught.value.found["status"] == "failed"
