"""A catalog that is down never fails a job, and what it missed is written later: by the same run, or from the repository."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.catalog import Catalog, Mirror, mirror_backups
from holdfast.errors import AccessDeniedError, DatabaseUnreachableError
from holdfast.postgres.connection import DatabaseUrl
from holdfast.repository import Compression, Manifest, ManifestDraft, Repository
from holdfast.storage import MemoryStorage
from tests.catalog.conftest import Ask, ask_once
from tests.postgres.servers import running_server

NOBODY_LISTENS = "postgresql://keeper:s3cret@127.0.0.1:9/catalog"
SNAPSHOT_AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def repository() -> Iterator[Repository]:
    made = Repository.create(MemoryStorage(), key=None, encrypt=False)
    yield made
    made.close()


def back_up(repository: Repository, backup_id: str) -> Manifest:
    with repository.lease("backup") as lease, repository.writer(lease, compression=Compression("none", None)) as writer:
        entry = writer.store("base", "pg_dump_custom", io.BytesIO(backup_id.encode() * 100))
        draft = ManifestDraft(
            id=backup_id,
            type="database",
            source={"name": "content"},
            snapshot_at=SNAPSHOT_AT,
            entries=[entry],
            tools={},
            server={},
            parameters={},
            started_at=datetime.now(UTC) - timedelta(seconds=90),
        )
        return writer.commit(draft)


class Switch:
    """Opens a real catalog while on, and one that nobody answers for while off."""

    def __init__(self, url: DatabaseUrl) -> None:
        self.url = url
        self.on = False
        self.asked = 0

    def __call__(self) -> Catalog:
        self.asked += 1
        catalog = Catalog(self.url if self.on else NOBODY_LISTENS)
        catalog.migrate()
        return catalog


def run_job(mirror: Mirror, job_id: str, *, after_start: Callable[[], object] = lambda: None) -> None:
    assert mirror.open_job(job_id, "database", {"host": "here"})
    assert mirror.start_job(job_id, {"leaseId": "lease"})
    after_start()
    for at in range(3):
        assert mirror.note_job(job_id, {"entries": at})
    assert mirror.close_job(job_id, "completed", size_bytes=7, checksum="ab", location="/r", metadata={"newChunks": 1})


def test_with_the_catalog_up_the_mirror_is_the_catalog(url: DatabaseUrl, catalog: Catalog) -> None:
    mirror = Mirror(lambda: Catalog(url))
    run_job(mirror, "backup_1")
    assert not mirror.close_job("backup_1", "failed"), "it was closed before"
    mirror.open_restore("restore_1", "latest", "database")
    mirror.start_restore("restore_1", {"a": 1}, backup_id="backup_1")
    mirror.note_restore("restore_1", {"b": 2})
    mirror.close_restore("restore_1", "cancelled", error_message="stopped")
    mirror.close()
    assert mirror.missed == []
    job, restore = catalog.job("backup_1"), catalog.restore("restore_1")
    assert job is not None
    assert restore is not None
    assert job.metadata == {"host": "here", "leaseId": "lease", "entries": 2, "newChunks": 1}
    assert (restore.status, restore.backup_id, restore.metadata) == ("cancelled", "backup_1", {"a": 1, "b": 2})


def test_a_job_goes_through_without_a_catalog_and_warns_once(
    url: DatabaseUrl, catalog: Catalog, caplog: pytest.LogCaptureFixture
) -> None:
    switch = Switch(url)
    mirror = Mirror(switch)
    with caplog.at_level(logging.INFO, logger="holdfast"):
        run_job(mirror, "backup_1")
        assert mirror.close_dead(lambda record: False, "dead") == []
        mirror.close()
    assert len(caplog.records) == 1
    assert "can't be used now" in caplog.text
    assert "s3cret" not in caplog.text
    assert switch.asked == 2, "once at the first call, once at the end: a dead catalog must not slow the job down"
    assert [call.name for call in mirror.missed] == ["open_job", "start_job", "note_job", "close_job"]
    assert catalog.jobs() == []


def test_a_catalog_that_comes_back_gets_all_that_it_missed_with_the_times_of_then(url: DatabaseUrl, catalog: Catalog) -> None:
    switch = Switch(url)
    mirror = Mirror(switch, retry_seconds=3600)
    before = datetime.now(UTC)
    run_job(mirror, "backup_1")
    after = datetime.now(UTC)
    switch.on = True
    mirror.close()
    assert mirror.missed == []
    job = catalog.job("backup_1")
    assert job is not None
    assert job.completed_at is not None
    assert before <= job.started_at <= job.completed_at <= after
    assert (job.status, job.size_bytes, job.metadata["entries"]) == ("completed", 7, 2)


def test_a_catalog_that_stops_in_the_middle_and_comes_back_has_one_whole_row() -> None:
    with running_server(18) as server:
        address = server.create_database("catalog")
        switch = Switch(address)
        switch.on = True
        mirror = Mirror(switch, retry_seconds=0)
        run_job(mirror, "backup_1", after_start=server.stop)
        assert [call.name for call in mirror.missed] == ["note_job", "close_job"]
        server.start()
        mirror.close()
        with Catalog(address) as catalog:
            job = catalog.job("backup_1")
    assert job is not None
    assert (job.status, job.metadata["entries"]) == ("completed", 2)


def test_a_catalog_that_refuses_us_does_not_fail_the_job_either(url: DatabaseUrl, caplog: pytest.LogCaptureFixture) -> None:
    stranger = DatabaseUrl(url.database, host=url.host, port=url.port, user="nobody_of_that_name")
    with Catalog(stranger) as refused, pytest.raises(AccessDeniedError):
        refused.jobs()
    mirror = Mirror(lambda: Catalog(stranger))
    run_job(mirror, "backup_1")
    mirror.close()
    assert len(mirror.missed) == 4


def test_a_catalog_that_is_read_only_for_a_while_gets_the_row_afterwards(url: DatabaseUrl, catalog: Catalog, ask: Ask) -> None:
    ask(f"ALTER DATABASE {url.database} SET default_transaction_read_only = on")
    with Catalog(url) as standby, pytest.raises(DatabaseUnreachableError, match=r"opening a job now: .*read-only"):
        standby.open_job("backup_1", "database")
    mirror = Mirror(lambda: Catalog(url))
    run_job(mirror, "backup_1")
    ask_once(url.maintenance(), f"ALTER DATABASE {url.database} RESET default_transaction_read_only")
    ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'holdfast-catalog'")
    mirror.close()
    job = catalog.job("backup_1")
    assert job is not None
    assert job.status == "completed"


def test_one_call_that_can_never_be_written_does_not_hold_up_the_others(url: DatabaseUrl, catalog: Catalog) -> None:
    mirror = Mirror(lambda: Catalog(url))
    assert not mirror.open_job("x" * 300, "database")
    run_job(mirror, "backup_1")
    mirror.close()
    assert mirror.missed == []
    assert catalog.job("backup_1") is not None


def test_an_unreachable_catalog_is_worth_a_retry_and_its_password_stays_secret() -> None:
    with Catalog(NOBODY_LISTENS) as catalog, pytest.raises(DatabaseUnreachableError) as caught:
        catalog.open_job("backup_1", "database")
    assert caught.value.retryable
    assert "s3cret" not in f"{caught.value!s} {caught.value!r} {catalog!r} {caught.value.__cause__!r}"


def test_connections_that_the_server_ended_are_replaced_unnoticed(catalog: Catalog, ask: Ask) -> None:
    catalog.open_job("backup_1", "database")
    ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'holdfast-catalog'")
    assert catalog.start_job("backup_1")


def test_a_dropped_catalog_is_rebuilt_from_the_repository_and_again_is_harmless(repository: Repository, catalog: Catalog) -> None:
    first, second = back_up(repository, "backup_1"), back_up(repository, "backup_2")
    repository.add_proof("backup_2", "proven", ok=True, problems=[], figures={}, started_at=datetime.now(UTC))
    assert mirror_backups(catalog, repository) == 2
    assert mirror_backups(catalog, repository) == 0
    rows = {job.job_id: job for job in catalog.jobs()}
    assert set(rows) == {"backup_1", "backup_2"}
    row = rows["backup_2"]
    assert (row.type, row.status, row.checksum, row.size_bytes) == ("database", "completed", second.checksum, second.size_bytes)
    assert (row.started_at, row.completed_at) == (second.started_at, second.finished_at)
    assert (row.location or "").endswith("/manifests/database/backup_2")
    assert row.metadata["verifiedLevel"] == "proven"
    assert rows["backup_1"].metadata["verifiedLevel"] == "stored"
    assert row.metadata["snapshotAt"] == SNAPSHOT_AT.isoformat()
    assert row.metadata["storedBytes"] == second.stored_bytes
    assert rows["backup_1"].checksum == first.checksum


def test_rows_that_runs_wrote_themselves_stay_as_they_are(repository: Repository, catalog: Catalog) -> None:
    for backup_id, end in (("backup_1", "completed"), ("backup_2", "failed"), ("backup_3", None)):
        back_up(repository, backup_id)
        catalog.open_job(backup_id, "database")
        if end is not None:
            catalog.close_job(backup_id, end, checksum="as the run said")
        else:
            catalog.start_job(backup_id)
    before = catalog.jobs()
    assert catalog.unmirrored(["backup_1", "backup_2", "backup_3", "backup_4"]) == ["backup_4"]
    assert mirror_backups(catalog, repository) == 0
    assert catalog.mirror([replace(job, status="completed", checksum="as the repository says") for job in before]) == 0
    assert catalog.jobs() == before


def test_a_run_killed_after_its_backup_was_made_is_not_called_failed_for_ever(repository: Repository, catalog: Catalog) -> None:
    catalog.open_job("backup_1", "database", {"host": "here"})
    catalog.start_job("backup_1")
    manifest = back_up(repository, "backup_1")  # and the process dies before it can close its row
    assert catalog.close_dead(lambda record: False, "its process died") == ["backup_1"]
    assert mirror_backups(catalog, repository) == 1
    job = catalog.job("backup_1")
    assert job is not None
    assert (job.status, job.error_message, job.checksum) == ("completed", None, manifest.checksum)
    assert "presumedDead" not in job.metadata
    assert mirror_backups(catalog, repository) == 0


def test_a_later_run_catches_up_for_an_earlier_one(url: DatabaseUrl, repository: Repository, catalog: Catalog) -> None:
    back_up(repository, "backup_1")
    mirror = Mirror(lambda: Catalog(url))
    assert mirror.catch_up(repository) == 1
    mirror.close()
    assert [job.job_id for job in catalog.jobs()] == ["backup_1"]


def test_a_damaged_manifest_does_not_keep_the_others_from_being_mirrored(catalog: Catalog) -> None:
    storage = MemoryStorage()
    repository = Repository.create(storage, key=None, encrypt=False)
    back_up(repository, "backup_1")
    back_up(repository, "backup_2")
    storage.put("manifests/database/backup_1", b"noise", replace=True)
    repository.close()
    again = Repository.open(storage, key=None)
    assert mirror_backups(catalog, again) == 1
    again.close()
    assert [job.job_id for job in catalog.jobs()] == ["backup_2"]
