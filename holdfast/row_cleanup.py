"""The catalog's own clean-up: rows of work that ended long ago go, but none of a backup that is still there.

The mirror would only write such a row again, and with less in it than it had. And a failure that nothing came after is kept, too.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from holdfast.attempts import ENDS
from holdfast.backup_types import TYPES
from holdfast.catalog import Catalog, JobRecord

BACKUP_DAYS, RESTORE_DAYS, EXECUTION_DAYS, MAINTENANCE_DAYS, FAILED_DAYS = 90, 90, 180, 90, 30
_SLACK_DAYS = 2  # for whole days, and for clocks that differ

Counts = dict[str, int]


def drop_old_rows(catalog: Catalog, living: Collection[str]) -> Counts:
    """Delete old rows, and return how many of each kind; `living` are the backups that the repository holds."""
    counts = catalog.cleanup(backup_days(catalog, living), RESTORE_DAYS, EXECUTION_DAYS, failed_days(catalog))
    catalog.requests.cleanup()
    return {**counts, "deleted_maintenance_jobs": catalog.maintenance.cleanup(MAINTENANCE_DAYS, FAILED_DAYS)}


def backup_days(catalog: Catalog, living: Collection[str]) -> int:
    """Return after how many days rows of backups may go, so that the oldest of those that are there keeps its row."""
    rows = [row for backup_id in living if (row := catalog.job(backup_id)) is not None]
    return max(BACKUP_DAYS, *(_reach_back_to(row) for row in rows), 0)


def failed_days(catalog: Catalog) -> int:
    """Return after how many days rows of failures may go, so that a failure that is a type's newest attempt keeps its row.

    Nothing is deleted of that type while it is, and that must not be forgotten with the row.
    """
    newest = (next((row for row in catalog.jobs(type=kind) if row.status in ENDS), None) for kind in TYPES)
    return max(FAILED_DAYS, *(_reach_back_to(row) for row in newest if row is not None and row.status == "failed"), 0)


def _reach_back_to(row: JobRecord) -> int:
    return (datetime.now(UTC) - (row.completed_at or row.started_at)).days + _SLACK_DAYS
