"""A small repository whose backups, proofs and times are known, for tests of what tells how things stand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from holdfast.look import look_over
from holdfast.opening import open_or_create_repository
from holdfast.overview import Overview, Recorded
from holdfast.recovery.untested import PlanTest
from holdfast.repository import BackupType, Manifest, Repository
from holdfast.settings import Settings, load_settings
from tests.repository.making import back_up, noise

KEY = "22" * 32


def settings_in(folder: Path, monkeypatch: Any, **more: str) -> Settings:
    """Have a database and a configuration to back up, into a repository in this folder."""
    chosen = {
        "HOLDFAST_HOME": str(folder / "home"),
        "BACKUP_ENCRYPTION_KEY": KEY,
        "BACKUP_DATABASE_URL": "postgresql://canary:canary-of-metrics@127.0.0.1:1/content",
        "BACKUP_CONFIG_ENV": "CONTENT_*",
        **more,
    }
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    return load_settings()


def some_backups(settings: Settings) -> tuple[Repository, list[Manifest]]:
    """Make two database backups, the older one proven by a drill, and a configuration backup that was found bad."""
    repository, _ = open_or_create_repository(settings)
    now = datetime.now(UTC)
    made = [
        _made(repository, "older", "database", now - timedelta(hours=30), 200_000),
        _made(repository, "newer", "database", now - timedelta(hours=2), 300_000),
        _made(repository, "damaged", "config", now - timedelta(hours=3), 5_000),
    ]
    figures = {"restoreSeconds": 40.0, "restoredBytes": 200_000, "drill": True}
    repository.add_proof("older", "proven", ok=True, problems=[], figures=figures, started_at=now)
    repository.add_proof("damaged", "read", ok=False, problems=["a chunk is gone"], figures={}, started_at=now)
    return repository, made


def recorded(*, database_failures: int = 2) -> Recorded:
    """Say what a catalog would: the database backup failed since, and lies in two places."""
    row = {
        "type": "database",
        "failures_since_success": database_failures,
        "last_failure": datetime(2026, 1, 2, tzinfo=UTC),
        "last_failure_job_id": "backup_2",
        "last_failure_error": "the server is gone",
        "completed_last_7_days": 5,
        "failed_last_7_days": database_failures,
    }
    made = datetime.now(UTC) - timedelta(days=3)
    plan = PlanTest("orders_lost", "Orders Lost", True, made, made, timedelta(days=92))
    return Recorded.of([row], {"newer": {"copies": [{"storage": "primary"}, {"storage": "nas"}]}}, (plan,))


def overview(settings: Settings, repository: Repository) -> Overview:
    """Look at it with that catalog, and a run of the database backup due in an hour."""
    due = {"database": datetime.now(UTC) + timedelta(hours=1)}
    return look_over(settings, repository, lambda _: recorded(), due)


def _made(repository: Repository, backup_id: str, kind: BackupType, at: datetime, size_bytes: int) -> Manifest:
    return back_up(repository, backup_id, {"base": noise(size_bytes, size_bytes)}, backup_type=kind, snapshot_at=at)
