"""The guide's five functions say what happened, and clean-up deletes what ended long ago and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from holdfast.catalog import Catalog
from holdfast.errors import SettingsError
from tests.catalog.conftest import Ask

HISTORY = """
    INSERT INTO backup_jobs (job_id, type, status, started_at, completed_at, size_bytes, error_message, metadata)
    SELECT job_id, type, status, now() - ago, now() - ago + took, size_bytes, error_message, metadata::jsonb
    FROM (VALUES
        ('a', 'database', 'completed', interval '1 day', interval '10 s', 100, NULL, '{"storedBytes": 40}'),
        ('b', 'database', 'completed', '2 day', '20 s', 300, NULL, '{"storedBytes": "x"}'),
        ('c', 'database', 'failed', '3 day', '0', NULL, 'no space', NULL),
        ('d', 'database', 'cancelled', '3 day', '0', NULL, NULL, '{}'),
        ('e', 'database', 'running', '1 hour', NULL, NULL, NULL, '{}'),
        ('f', 'database', 'pending', '0', NULL, NULL, NULL, '{}'),
        ('g', 'database', 'completed', '40 day', '90 s', 7000, NULL, '{}'),
        ('h', 'config', 'completed', '50 day', '0', 5, NULL, '{"verifiedLevel": "read"}'),
        ('i', 'config', 'failed', '8 day', '0', NULL, 'first', '{}'),
        ('j', 'config', 'failed', '2 day', '0', NULL, 'second', '{}')
    ) AS job (job_id, type, status, ago, took, size_bytes, error_message, metadata);
    INSERT INTO restore_jobs (job_id, backup_id, type, status, started_at, completed_at) VALUES
    ('r', 'a', 'database', 'completed', now() - interval '1 day', now() - interval '1 day' + interval '4 s'),
    ('s', 'a', 'database', 'failed', now() - interval '2 hour', now() - interval '2 hour'),
    ('t', 'a', 'database', 'completed', now() - interval '90 day', now() - interval '90 day' + interval '8 s');
"""


def test_backup_statistics_sum_up_the_days_that_were_asked_for(catalog: Catalog, ask: Ask) -> None:
    ask(HISTORY)
    rows = {row["type"]: row for row in catalog.backup_statistics(30)}
    assert list(rows) == ["database", "function", "config", "secrets"]
    database = rows["database"]
    counts = ("total", "completed", "failed", "cancelled", "running", "pending")
    assert [database[name] for name in counts] == [6, 2, 1, 1, 1, 1]
    assert database["success_rate"] == 66.67
    assert (database["total_bytes"], database["stored_bytes"], database["average_bytes"]) == (400, 40, 200)
    assert database["average_duration_seconds"] == 15.0
    assert database["last_success"] > database["last_failure"]
    assert [rows["function"][name] for name in counts] == [0] * 6
    assert rows["function"]["success_rate"] is None
    assert rows["config"]["success_rate"] == 0
    assert rows["config"]["last_success"] is not None, "the last success counts, however old"


def test_null_days_mean_all_of_time(catalog: Catalog, ask: Ask) -> None:
    ask(HISTORY)
    assert catalog.backup_statistics(None)[0]["completed"] == 3
    assert catalog.backup_statistics(None)[0]["total_bytes"] == 7400
    assert catalog.restore_statistics(None)[0]["completed"] == 2
    assert ask("SELECT total FROM get_backup_statistics() WHERE type = 'database'") == [(6,)], "30 days are the default"


def test_restore_statistics_sum_up_the_days_that_were_asked_for(catalog: Catalog, ask: Ask) -> None:
    ask(HISTORY)
    database = catalog.restore_statistics(30)[0]
    assert (database["total"], database["completed"], database["failed"], database["success_rate"]) == (2, 1, 1, 50.0)
    assert database["average_duration_seconds"] == 4.0
    assert [row["total"] for row in catalog.restore_statistics(30)] == [2, 0, 0, 0]


def test_the_dashboard_tells_healthy_from_failing_from_never_backed_up(catalog: Catalog, ask: Ask) -> None:
    ask(HISTORY)
    rows = {row["type"]: row for row in catalog.dashboard()}
    assert {kind: row["health"] for kind, row in rows.items()} == {
        "database": "healthy",
        "function": "none",
        "config": "failing",
        "secrets": "none",
    }
    database, config = rows["database"], rows["config"]
    assert (database["last_success_job_id"], database["last_success_bytes"]) == ("a", 100)
    assert (database["last_failure_job_id"], database["last_failure_error"]) == ("c", "no space")
    assert database["failures_since_success"] == 0
    assert (database["open_jobs"], database["completed_last_7_days"], database["failed_last_7_days"]) == (2, 2, 1)
    assert database["oldest_open_since"] is not None
    assert (database["last_restore_status"], round(database["hours_since_success"])) == ("failed", 24)
    assert (config["failures_since_success"], config["last_failure_error"], config["verified_level"]) == (2, "second", "read")
    assert rows["function"]["open_jobs"] == 0


def test_plans_are_listed_by_urgency_and_a_null_filter_does_not_filter(catalog: Catalog, ask: Ask) -> None:
    ask(
        """INSERT INTO disaster_recovery_plans (plan_id, name, priority, steps, enabled) VALUES
        ('low', 'Low', 'low', '[]', true), ('off', 'Off', 'critical', '[]', false),
        ('on', 'On', 'critical', '[{"id": "assess"}]', true), ('high', 'High', 'high', '[]', true)"""
    )

    def ids(*filters: object) -> list[str]:
        return [one.id for one in catalog.plans.kept(*filters)]  # type: ignore[arg-type]

    assert ids() == ["off", "on", "high", "low"]
    assert ids("critical") == ["off", "on"]
    assert ids(None, True) == ["on", "high", "low"]
    assert ids("critical", True) == ["on"]
    assert catalog.plans.kept("critical", True)[0].document["steps"] == [{"id": "assess"}]
    assert ask("SELECT plan_id FROM get_disaster_recovery_plans(priority => NULL, enabled => false)") == [("off",)]


AGES = """
    INSERT INTO disaster_recovery_plans (plan_id, name, priority, steps) VALUES ('plan', 'Plan', 'low', '[]');
    INSERT INTO backup_jobs (job_id, type, status, started_at, completed_at)
        SELECT status || age, 'function', status, now() - make_interval(days => age),
               CASE WHEN status NOT IN ('pending', 'running') THEN now() - make_interval(days => age) + interval '1 min' END
        FROM unnest(ARRAY['pending', 'running', 'completed', 'failed', 'cancelled']) AS status,
             unnest(ARRAY[1, 31, 91, 400]) AS age;
    INSERT INTO restore_jobs (job_id, backup_id, type, status, started_at, completed_at)
        SELECT job_id, 'backup', type, status, started_at, completed_at FROM backup_jobs;
    INSERT INTO disaster_recovery_executions (execution_id, plan_id, trigger, status, started_at, completed_at)
        SELECT status || age, 'plan', 'test_trigger', status, now() - make_interval(days => age),
               CASE WHEN status <> 'running' THEN now() - make_interval(days => age) END
        FROM unnest(ARRAY['running', 'success', 'failed', 'partial']) AS status, unnest(ARRAY[1, 91, 181]) AS age;
"""


def test_cleanup_deletes_what_ended_long_ago_and_never_open_work(catalog: Catalog, ask: Ask) -> None:
    ask(AGES)
    assert catalog.cleanup(90, 90, 180, 30) == {
        "deleted_backup_jobs": 2,
        "deleted_restore_jobs": 2,
        "deleted_executions": 3,
        "deleted_failed_jobs": 12,
    }
    kept = ["cancelled1", "completed1", "completed31", "failed1"]
    still_open = [f"{status}{age}" for status in ("pending", "running") for age in (1, 31, 91, 400)]
    for table in ("backup_jobs", "restore_jobs"):
        assert {row[0] for row in ask(f"SELECT job_id FROM {table}")} == {*kept, *still_open}
    assert ask("SELECT count(*) FROM disaster_recovery_executions WHERE status = 'running'") == [(3,)]
    assert set(catalog.cleanup(90, 90, 180, 30).values()) == {0}


def test_cleanup_goes_by_the_end_of_work_and_not_by_its_start(catalog: Catalog, ask: Ask) -> None:
    ask(
        """INSERT INTO backup_jobs (job_id, type, status, started_at, completed_at)
        VALUES ('long', 'database', 'completed', now() - interval '91 day', now() - interval '89 day')"""
    )
    assert catalog.cleanup(90)["deleted_backup_jobs"] == 0
    assert catalog.cleanup(88)["deleted_backup_jobs"] == 1


def test_cleanup_with_null_days_deletes_nothing_of_that_kind(catalog: Catalog, ask: Ask) -> None:
    ask(AGES)
    assert catalog.cleanup(None, None, None, 30) == {
        "deleted_backup_jobs": 0,
        "deleted_restore_jobs": 0,
        "deleted_executions": 0,
        "deleted_failed_jobs": 12,
    }


def test_negative_days_are_refused_rather_than_taken_for_now(catalog: Catalog, ask: Ask) -> None:
    ask(AGES)
    with pytest.raises(SettingsError, match="failed_days is -1"):
        catalog.cleanup(failed_days=-1)
    with pytest.raises(Exception, match="days must not be negative"):
        ask("SELECT * FROM cleanup_backup_data(90, 90, -180, 30)")
    assert ask("SELECT count(*) FROM backup_jobs") == [(20,)]


def test_the_examples_in_the_document_work(ask: Ask) -> None:
    ask(HISTORY)
    document = (Path(__file__).parents[2] / "docs" / "catalog.md").read_text()
    examples = [line for block in re.findall(r"```sql\n(.*?)```", document, re.DOTALL) for line in block.splitlines()]
    assert len(examples) >= 6
    assert len(ask(next(line for line in examples if "get_backup_statistics" in line))) == 4
    for example in examples:
        ask(example)
