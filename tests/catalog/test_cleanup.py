"""What a clean-up asks the catalog, and what it leaves in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.attempts import Attempts
from holdfast.catalog import Catalog
from holdfast.postgres.connection import DatabaseUrl
from holdfast.row_cleanup import backup_days, drop_old_rows

NOW = datetime.now(UTC)
SHOP = {"name": "shop", "server": "postgresql://db.example.com", "database": "shop"}
OTHER = {**SHOP, "name": "other", "database": "other"}


def attempt(catalog: Catalog, hours_ago: float, status: str, source: dict[str, str] | None = None, kind: str = "database") -> str:
    job_id, at = f"backup_{hours_ago}_{status}", NOW - timedelta(hours=hours_ago)
    catalog.open_job(job_id, kind, {"source": source} if source else {}, at=at)
    if status != "running":
        catalog.close_job(job_id, status, error_message="no route to host" if status == "failed" else None, at=at)
    else:
        catalog.start_job(job_id, at=at)
    return job_id


@pytest.fixture
def attempts(url: DatabaseUrl) -> Attempts:
    return Attempts(lambda: Catalog(url))


def test_the_newest_attempt_counts_whether_it_failed_and_cancelled_ones_and_those_at_work_do_not(
    catalog: Catalog, url: DatabaseUrl
) -> None:
    assert Attempts(lambda: Catalog(url))("database", None) is None, "nobody ever tried"
    attempt(catalog, 5, "completed")
    failed = attempt(catalog, 4, "failed")
    attempt(catalog, 3, "cancelled")
    attempt(catalog, 2, "running")
    why = Attempts(lambda: Catalog(url))("database", None)
    assert why == f"the newest attempt, {failed}, failed: no route to host"
    assert Attempts(lambda: Catalog(url))("config", None) is None
    attempt(catalog, 1, "completed")
    assert Attempts(lambda: Catalog(url))("database", None) is None


def test_attempts_at_one_source_are_told_from_those_at_another(catalog: Catalog, attempts: Attempts) -> None:
    noted = {"database": "shop", "server": "postgresql://db.example.com"}  # what a run notes before it has read anything
    attempt(catalog, 3, "failed", noted)
    attempt(catalog, 2, "completed", OTHER)
    attempt(catalog, 1, "completed", {**OTHER, "database": "third"})
    assert attempts("database", None) is None
    assert attempts("database", json.dumps(OTHER)) is None
    assert "no route to host" in str(attempts("database", json.dumps(SHOP)))


def test_rows_of_backups_that_are_there_stay_however_old_they_are(catalog: Catalog) -> None:
    living = [attempt(catalog, 24 * days, "completed") for days in (1, 200, 400)]
    gone = [attempt(catalog, 24 * days, "completed") for days in (300.5, 500)]
    failed = attempt(catalog, 24 * 31, "failed")
    counts = drop_old_rows(catalog, living)
    assert (counts["deleted_backup_jobs"], counts["deleted_failed_jobs"]) == (1, 1)
    assert catalog.job(failed) is None
    assert [catalog.job(job_id) is not None for job_id in (*living, *gone)] == [True, True, True, True, False]


def test_without_old_backups_the_rows_go_as_ever(catalog: Catalog) -> None:
    assert backup_days(catalog, []) == 90
    assert backup_days(catalog, [attempt(catalog, 24, "completed"), "backup_without_a_row"]) == 90


def test_a_failure_that_nothing_came_after_keeps_its_row_and_so_nothing_goes_of_its_type(
    catalog: Catalog, attempts: Attempts
) -> None:
    attempt(catalog, 24 * 60, "completed")
    older, newest = attempt(catalog, 24 * 55, "failed"), attempt(catalog, 24 * 50, "failed")
    drop_old_rows(catalog, [])
    assert catalog.job(older) is None
    assert catalog.job(newest) is not None
    assert str(attempts("database", None)).startswith(f"the newest attempt, {newest}, failed")
