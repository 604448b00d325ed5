"""The statistics add up whatever the rows hold, as one plain sum over all rows says."""

from __future__ import annotations

from typing import Any

import pytest

from tests.catalog.conftest import Ask

# Thousands of rows of every type and status, with what real ones may lack or have wrongly; the same at each run.
ROWS = """
    SELECT setseed(0.5);
    INSERT INTO backup_jobs (job_id, type, status, started_at, completed_at, size_bytes, metadata)
    SELECT 'backup_' || n, (ARRAY['database', 'function', 'config'])[1 + floor(random() * 3)],
           (ARRAY['completed', 'completed', 'completed', 'failed', 'cancelled', 'running', 'pending'])[1 + floor(random() * 7)],
           at, CASE WHEN random() < 0.9 THEN at + random() * interval '3 days' END,
           CASE WHEN random() < 0.9 THEN floor(random() * 1e13) END,
           (ARRAY[NULL, '{}', '{"storedBytes": null}', '{"storedBytes": "7"}', '{"storedBytes": [1]}', '{"storedBytes": 1.5}',
                  '{"storedBytes": 12345678901}', '{"more": {"storedBytes": 9}}'])[1 + floor(random() * 8)]::jsonb
    FROM (SELECT n, CASE WHEN n % 50 > 0 THEN now() - random() * interval '800 days' END AS at FROM generate_series(1, 3000) n) x;
    INSERT INTO restore_jobs (job_id, backup_id, type, status, started_at, completed_at)
    SELECT 'restore_' || job_id, job_id, type, status, started_at, completed_at FROM backup_jobs;
"""

# Of what statistics read the short way where there is no other: whole numbers, and nothing.
WHOLE = """
    UPDATE backup_jobs SET metadata = '{"storedBytes": 123456789012}'
    WHERE metadata ->> 'storedBytes' IN ('7', '[1]', '1.5');
"""

COUNTS = """
    COUNT(*), COUNT(*) FILTER (WHERE status = 'completed'), COUNT(*) FILTER (WHERE status = 'failed'),
    COUNT(*) FILTER (WHERE status = 'cancelled'), COUNT(*) FILTER (WHERE status = 'running'),
    COUNT(*) FILTER (WHERE status = 'pending'),
    ROUND(100.0 * COUNT(*) FILTER (WHERE status = 'completed')
          / NULLIF(COUNT(*) FILTER (WHERE status IN ('completed', 'failed')), 0), 2)"""

DURATION = """
    ROUND(AVG(EXTRACT(EPOCH FROM completed_at - started_at)) FILTER (WHERE status = 'completed')::numeric, 3)"""

SIZES = """
    COALESCE(SUM(size_bytes) FILTER (WHERE status = 'completed'), 0)::bigint,
    COALESCE(SUM(CASE WHEN jsonb_typeof(metadata -> 'storedBytes') = 'number'
                      THEN (metadata ->> 'storedBytes')::numeric END) FILTER (WHERE status = 'completed'), 0)::bigint,
    (AVG(size_bytes) FILTER (WHERE status = 'completed'))::bigint"""

EMPTY = {"backup": (0, 0, 0, 0, 0, 0, None, 0, 0, None, None), "restore": (0, 0, 0, 0, 0, 0, None, None)}


@pytest.mark.parametrize(("of", "odd"), [("backup", True), ("backup", False), ("restore", True)])
def test_statistics_are_what_one_sum_over_all_rows_says(ask: Ask, of: str, odd: bool) -> None:
    ask(ROWS if odd else ROWS + WHOLE)
    columns = ", ".join([COUNTS, *([SIZES] if of == "backup" else []), DURATION])
    for days in (None, 0, 7, 30, 365, 10_000):
        since = "'-infinity'" if days is None else f"now() - interval '{days} days'"
        said = ask(f"SELECT * FROM get_{of}_statistics({'NULL' if days is None else days})")
        plain: dict[str, Any] = {
            row[0]: row[1:] for row in ask(f"SELECT type, {columns} FROM {of}_jobs WHERE started_at >= {since} GROUP BY type")
        }
        assert {row[0]: row[1:-2] for row in said} == {
            kind: plain.get(kind, EMPTY[of]) for kind in ("database", "function", "config", "secrets")
        }
    assert said[0][1] > 900
