"""What only a catalog knows, in how things stand: what ran, what runs, what waits, what is kept as configuration."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from holdfast.catalog import Catalog
from holdfast.postgres.connection import DatabaseUrl
from holdfast.recovery.execution import Execution
from holdfast.recovery.plan_book import PlanBook
from orchestration.standing.gathering import gathered
from tests.standing import settings_in, some_backups


def test_jobs_failures_executions_and_the_kept_configuration_are_told(
    catalog: Catalog, url: DatabaseUrl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(tmp_path, monkeypatch, BACKUP_CATALOG_URL=url.with_password().get_secret_value())
    some_backups(settings)
    catalog.open_job("backup_failed", "database")
    catalog.close_job("backup_failed", "failed", error_message="the server is gone")
    catalog.open_job("backup_now", "config")
    catalog.start_job("backup_now")
    catalog.open_restore("restore_waits", "newer", "database")
    catalog.maintenance.open("cleanup_now", "cleanup", "cleanup")
    plan = PlanBook(settings).all().plans[0]
    catalog.executions.open(
        Execution("execution_1", plan.id, "manual", "run", datetime.now(UTC), plan=plan.document(), waiting_for="approval")
    )
    catalog.set_config("databaseBackupInterval", 7)

    found = gathered(settings)
    types = {one["type"]: one for one in found.document["types"]}
    assert found.document["parts"]["catalog"] == {"ok": True}
    assert (types["database"]["lastRun"]["jobId"], types["database"]["lastRun"]["status"]) == ("backup_failed", "failed")
    assert types["database"]["lastFailure"]["error"] == "the server is gone"
    assert types["database"]["failuresInARow"] == 1
    assert (types["secrets"]["lastRun"], types["config"]["lastRun"]["status"]) == (None, "running")
    at_work = [(one["jobId"], one["kind"], one["status"]) for one in found.document["jobs"]]
    assert at_work == [
        ("backup_now", "backup", "running"),
        ("restore_waits", "restore", "pending"),
        ("cleanup_now", "cleanup", "pending"),
    ]
    (execution,) = found.document["executions"]
    assert (execution["executionId"], execution["planId"], execution["waitingFor"]) == ("execution_1", plan.id, "approval")
    assert found.document["configuration"]["databaseBackupInterval"] == 7
    assert found.overview.recorded


def test_copies_of_an_old_backup_are_found_behind_many_newer_rows(
    catalog: Catalog, url: DatabaseUrl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(tmp_path, monkeypatch, BACKUP_CATALOG_URL=url.with_password().get_secret_value())
    some_backups(settings)
    catalog.open_job("newer", "database", {"copies": [{"storage": "primary"}, {"storage": "nas"}]})
    catalog.close_job("newer", "completed")
    for number in range(60):
        catalog.open_job(f"backup_{number}", "database")
        catalog.close_job(f"backup_{number}", "failed")
    assert gathered(settings).overview.of("database").copies == 2
