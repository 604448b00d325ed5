"""With a catalog of many years, nothing that is done often reads it all: shown by rows read and by plans, never by time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.sql import text

import sql
from holdfast.catalog import Catalog
from holdfast.postgres.connection import DatabaseUrl, connect
from holdfast.postgres.embedded import EmbeddedServer
from tests.catalog.conftest import ask_once, drop

ROWS = 200_000
A_PAGE = 100
A_MONTH = 10_000  # rows of 30 days out of two years and a half, rounded up
PSYCOPG2 = make_url("postgresql+psycopg2://").get_dialect()()
LONG_AGO = (datetime.now(UTC) - timedelta(days=600)).isoformat()

# Backups every 6 minutes or so for 900 days, 2 in 100 failed, the newest five still at work, none of secrets for long, and half
# as many restores.
HISTORY = f"""
    INSERT INTO backup_jobs (job_id, type, status, started_at, completed_at, size_bytes, metadata)
    SELECT 'backup_' || n, CASE WHEN n % 4 = 0 AND n > {ROWS} * 0.8 THEN 'secrets'
                ELSE (ARRAY['database', 'function', 'config'])[1 + n % 3] END,
           CASE WHEN n <= 5 THEN 'running' WHEN n % 50 = 8 THEN 'failed' ELSE 'completed' END,
           now() - n * interval '900 days' / {ROWS},
           CASE WHEN n > 5 THEN now() - n * interval '900 days' / {ROWS} + interval '1 minute' END,
           n, '{{"storedBytes": 10, "verifiedLevel": "read"}}'
    FROM generate_series(1, {ROWS}) AS n;
    INSERT INTO restore_jobs (job_id, backup_id, type, status, started_at, completed_at)
    SELECT 'restore_' || job_id, 'backup_' || size_bytes % 1000, type, status, started_at, completed_at
    FROM backup_jobs WHERE size_bytes % 2 = 0;
    INSERT INTO maintenance_jobs (job_id, kind, type, status, started_at, completed_at, document)
    SELECT 'work_' || size_bytes, (ARRAY['verification', 'check', 'report', 'replication', 'cleanup'])[1 + size_bytes % 5],
           type, status, started_at, completed_at, '{{"ok": true}}'
    FROM backup_jobs;
    INSERT INTO disaster_recovery_plans (plan_id, name, priority, steps)
    SELECT 'plan_' || n, 'Plan', 'low', '[]' FROM generate_series(1, 2) AS n;
    INSERT INTO disaster_recovery_executions (execution_id, plan_id, trigger, status, started_at, completed_at)
    SELECT job_id, CASE WHEN size_bytes > {ROWS} * 0.999 THEN 'plan_1' ELSE 'plan_2' END, 'test_trigger', 'success',
           started_at, completed_at
    FROM backup_jobs WHERE size_bytes % 10 = 6;
"""


def _told(filters: dict[str, Any]) -> str:
    return "-".join(filters.values()).replace(LONG_AGO, "then") or "all"


@dataclass(frozen=True)
class Cost:
    """What a query read: rows of tables, and the tables that it read from end to end."""

    rows_read: int
    read_whole: list[str]


Measure = Callable[..., Cost]


@pytest.fixture(scope="module")
def big(server: EmbeddedServer, migrated: DatabaseUrl) -> Iterator[DatabaseUrl]:
    ask_once(server.url(), f"CREATE DATABASE big TEMPLATE {migrated.database}")
    url = server.url("big")
    ask_once(url, HISTORY)
    ask_once(url, "VACUUM ANALYZE")
    yield url
    drop(url)


@pytest.fixture
def cost(big: DatabaseUrl) -> Measure:
    """Run a query of the catalog's as the catalog does, undo it, and say what the server read for it."""

    def measure(file: str, name: str, **parameters: Any) -> Cost:
        compiled = text(sql.queries(file)[name]).compile(dialect=PSYCOPG2)
        values = {**dict.fromkeys(compiled.params), **parameters}
        with closing(connect(big, autocommit=False)) as connection, connection.cursor() as cursor:
            cursor.execute(compiled.string, values)
            cursor.execute(
                """SELECT relname, seq_tup_read, COALESCE(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables
                WHERE relname LIKE '%\\_jobs' OR relname LIKE 'disaster%'"""
            )
            found = cursor.fetchall()
            connection.rollback()
        return Cost(sum(whole + fetched for _, whole, fetched in found), [table for table, whole, _ in found if whole > 10])

    return measure


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"type": "secrets"},
        {"status": "completed"},
        {"status": "failed"},
        {"status": "cancelled"},
        {"status": "pending"},
        {"type": "database", "status": "completed"},
        {"since": LONG_AGO},
        {"before_at": LONG_AGO, "before_id": "backup_5"},
        {"type": "config", "before_at": LONG_AGO, "before_id": ""},
        {"type": "secrets", "status": "failed"},
        {"type": "database", "status": "failed", "since": LONG_AGO},
        {"type": "database", "status": "cancelled"},
        {"type": "function", "status": "completed", "since": LONG_AGO, "before_at": LONG_AGO, "before_id": "x"},
        {"status": "failed", "before_at": LONG_AGO, "before_id": "x"},
    ],
    ids=_told,
)
@pytest.mark.parametrize("table", ["backup_jobs", "restore_jobs", "maintenance_jobs"])
def test_a_page_of_jobs_reads_little_more_than_the_page(cost: Measure, table: str, filters: dict[str, Any]) -> None:
    spent = cost(table, "list", limit=A_PAGE, **filters)
    assert spent.read_whole == []
    assert spent.rows_read <= 5 * A_PAGE


@pytest.mark.parametrize("kind", ["verification", "recovery"])
@pytest.mark.parametrize(
    "more",
    [{}, {"type": "config"}, {"status": "failed"}, {"status": "pending"}, {"since": LONG_AGO}],
    ids=_told,
)
def test_a_page_of_maintenance_of_one_kind_reads_little_more(cost: Measure, kind: str, more: dict[str, Any]) -> None:
    spent = cost("maintenance_jobs", "list", limit=A_PAGE, kind=kind, **more)
    assert spent.read_whole == []
    assert spent.rows_read <= 10 * A_PAGE


def test_whether_jobs_have_ended_is_known_by_reading_their_rows(cost: Measure) -> None:
    spent = cost("jobs", "ended", job_ids=[f"backup_{at}" for at in range(100)])
    assert (spent.read_whole, spent.rows_read <= 200) == ([], True)


def test_the_restores_of_one_backup_are_found_by_it(cost: Measure) -> None:
    spent = cost("restore_jobs", "list", limit=A_PAGE, backup_id="backup_8")
    assert (spent.read_whole, spent.rows_read <= 2 * A_PAGE) == ([], True)


@pytest.mark.parametrize("table", ["backup_jobs", "restore_jobs"])
def test_open_work_is_found_without_looking_at_what_ended(cost: Measure, table: str) -> None:
    spent = cost(table, "open_work")
    assert spent.read_whole == []
    assert spent.rows_read <= 5


def test_a_job_is_closed_by_reading_its_row_only(cost: Measure) -> None:
    for name, parameters in (("get", {}), ("note", {"metadata": "{}"}), ("close", {"status": "failed", "metadata": "{}"})):
        spent = cost("backup_jobs", name, job_id="backup_3", **parameters)
        assert (spent.read_whole, spent.rows_read <= 2) == ([], True), name


@pytest.mark.parametrize("name", ["backup_statistics", "restore_statistics"])
def test_statistics_of_a_month_read_a_month(cost: Measure, name: str) -> None:
    spent = cost("statistics", name, days_back=30)
    assert spent.read_whole == []
    assert spent.rows_read <= A_MONTH


def test_the_dashboard_reads_a_week(cost: Measure) -> None:
    spent = cost("statistics", "dashboard")
    assert spent.read_whole == []
    assert spent.rows_read <= A_MONTH / 4


def test_cleanup_reads_what_it_deletes(cost: Measure) -> None:
    days = {"backup_days": 890, "restore_days": 890, "execution_days": 890, "failed_days": 890}
    spent = cost("statistics", "cleanup", **days)
    assert spent.read_whole == []
    assert spent.rows_read <= A_MONTH


def test_looking_for_missing_rows_reads_those_that_are_there(cost: Measure) -> None:
    spent = cost("backup_jobs", "unmirrored", job_ids=[f"backup_{at}" for at in range(50, 350)])
    assert spent.read_whole == []
    assert spent.rows_read <= 600


@pytest.mark.parametrize("call", ["get_backup_statistics(30)", "get_restore_statistics(7)", "get_backup_dashboard()"])
def test_the_planner_sees_through_the_guides_functions_to_the_indexes(big: DatabaseUrl, call: str) -> None:
    plan = ask_once(big, f"EXPLAIN (FORMAT JSON) SELECT * FROM {call}")[0][0]
    kinds = {node["Node Type"] for node in nodes(plan[0]["Plan"])}
    assert "Seq Scan" not in kinds, json.dumps(plan, indent=1)
    assert kinds & {"Index Scan", "Bitmap Index Scan", "Index Only Scan"}


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ("WHERE plan_id = 'plan_1' ORDER BY started_at DESC NULLS LAST LIMIT 20", "newest_of_plan"),
        ("ORDER BY started_at DESC NULLS LAST LIMIT 20", "newest"),
        ("WHERE plan_id = 'plan_1' AND status = 'running'", "running"),
    ],
)
def test_executions_of_recovery_plans_are_found_by_index(big: DatabaseUrl, wanted: str, index: str) -> None:
    plan = ask_once(big, f"EXPLAIN (FORMAT JSON) SELECT * FROM disaster_recovery_executions {wanted}")[0][0]
    used = {node.get("Index Name") for node in nodes(plan[0]["Plan"])}
    assert f"disaster_recovery_executions_{index}" in used


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


def test_figures_over_many_rows_add_up(big: DatabaseUrl) -> None:
    with Catalog(big) as catalog:
        all_of_time = catalog.backup_statistics(None)
        assert sum(row["total"] for row in all_of_time) == ROWS
        assert sum(row["failed"] for row in all_of_time) == ROWS // 50
        assert sum(row["open_jobs"] for row in catalog.dashboard()) == 5
        assert {row["verified_level"] for row in catalog.dashboard()} == {"read"}
