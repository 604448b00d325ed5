"""Restores as flows: the database is back, the row tells of it, and what is live is only touched when asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from blocks import DatabaseTarget
from flows.database_backup import database_backup
from flows.restore import restore
from holdfast.catalog import RestoreRecord
from holdfast.errors import NotFoundError, SettingsError, TargetNotEmptyError
from holdfast.jobs import new_job_id
from tests.flows.conftest import PASSWORD, Installation
from tests.postgres.servers import drop_database


@pytest.fixture(scope="module")
def backup_id(installation: Installation) -> str:
    """The newest backup."""
    return str(database_backup()["jobId"])


@pytest.fixture
def target(installation: Installation) -> Iterator[str]:
    """The name of a database that does not exist yet."""
    yield "brought_back"
    drop_database(installation.source.with_database("brought_back"))


def _row(installation: Installation, job_id: str) -> RestoreRecord | None:
    with installation.catalog() as catalog:
        return catalog.restore(job_id)


def _url(installation: Installation, database: str) -> str:
    return installation.source.with_database(database).without_password()


def test_a_restored_database_is_there_and_the_row_tells_of_it(installation: Installation, backup_id: str, target: str) -> None:
    done = restore(target=_url(installation, target))
    assert (done["status"], done["backupId"], done["mode"], done["proven"]) == ("completed", backup_id, "new", True)
    assert (done["tables"], done["rows"]) == (2, 6050)
    assert installation.sql("SELECT count(*) FROM articles", database=target) == [(6000,)]
    row = _row(installation, done["jobId"])
    assert row is not None
    assert (row.status, row.backup_id, row.type) == ("completed", backup_id, "database")
    assert row.metadata["rows"] == 6050
    assert "holdfast.restore.completed" in installation.events(done["jobId"])
    assert done["jobId"] in installation.artifacts("database-restore-summary")[-1]


@pytest.mark.usefixtures("backup_id")
def test_a_restore_onto_what_is_there_is_refused_and_changes_nothing(installation: Installation) -> None:
    job_id = new_job_id("restore")
    with pytest.raises(TargetNotEmptyError):
        restore(target=_url(installation, "pipeline"), job_id=job_id)
    row = _row(installation, job_id)
    assert row is not None
    assert row.status == "failed"
    assert "is not empty" in str(row.error_message)
    assert "holdfast.restore.failed" in installation.events(job_id)
    assert installation.sql("SELECT count(*) FROM articles") == [(6000,)]


@pytest.mark.usefixtures("backup_id")
def test_a_restore_that_is_not_compared_is_not_told_to_be_proven(installation: Installation, target: str) -> None:
    done = restore(target=_url(installation, target), unproven=True, analyze=False)
    assert (done["status"], done["proven"], done["problems"]) == ("completed", None, [])
    assert any("not compared with the source" in note for note in done["notes"])
    assert installation.sql("SELECT count(*) FROM articles", database=target) == [(6000,)]
    row = _row(installation, done["jobId"])
    assert row is not None
    assert row.metadata["proven"] is None


@pytest.mark.parametrize(
    ("given", "told"),
    [({"unproven": True}, "--unproven"), ({"analyze": False}, "--no-analyze")],
    ids=["unproven", "not analyzed"],
)
@pytest.mark.usefixtures("installation")
def test_what_only_a_database_s_restore_can_leave_out_is_refused_for_another(given: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError, match=f"{told} can't be used for a backup of type config"):
        restore(type="config", target="live", **given)


@pytest.mark.usefixtures("backup_id")
def test_a_dry_run_tells_what_would_be_lost_and_changes_nothing(installation: Installation) -> None:
    installation.sql("INSERT INTO tags VALUES (51, 'newer than the backup')")
    try:
        looked: dict[str, Any] = restore(target=_url(installation, "pipeline"), mode="promote", dry_run=True)
    finally:
        installation.sql("DELETE FROM tags WHERE id = 51")
    assert looked["dryRun"] is True
    assert looked["losses"] == [{"table": "public.tags", "rows": 1, "liveRows": 51, "backupRows": 50}]
    assert _row(installation, looked["jobId"]) is None, "a look is no restore"
    assert installation.sql("SELECT datname::text FROM pg_database WHERE datname ~ '^pipeline_'") == []


@pytest.mark.usefixtures("backup_id")
def test_single_tables_come_back_into_the_live_database(installation: Installation) -> None:
    installation.sql("DELETE FROM tags WHERE id > 10")
    done = restore(target=_url(installation, "pipeline"), mode="in_place", tables=["public.tags"])
    assert done["tables"] == 1
    assert installation.sql("SELECT count(*) FROM tags") == [(50,)]


@pytest.mark.usefixtures("backup_id")
def test_a_target_with_a_password_is_only_taken_from_a_block(installation: Installation, target: str) -> None:
    with_password = f"postgresql://postgres:{PASSWORD}@/{target}?host={installation.source.host}"
    with pytest.raises(SettingsError, match="may hold no password") as raised:
        restore(target=with_password)
    assert PASSWORD not in str(raised.value)
    DatabaseTarget(url=SecretStr(with_password)).save("one-target")
    done = restore(target="one-target")
    assert PASSWORD not in str(done)
    assert installation.sql("SELECT count(*) FROM tags", database=target) == [(50,)]


def test_a_restore_of_a_backup_that_does_not_exist_leaves_a_failed_row(installation: Installation) -> None:
    job_id = new_job_id("restore")
    with pytest.raises(NotFoundError):
        restore(backup_id="backup_1_none", target=_url(installation, "nowhere"), job_id=job_id)
    row = _row(installation, job_id)
    assert row is not None
    assert (row.status, row.backup_id) == ("failed", "backup_1_none")
