"""The catalog's own clean-up: rows of work that ended long ago go, but none of a backup that is still there.

The mirror would only write such a row again, and with less in it than it had.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from holdfast.catalog import Catalog

BACKUP_DAYS, RESTORE_DAYS, EXECUTION_DAYS, FAILED_DAYS = 90, 90, 180, 30
_SLACK_DAYS = 2  # for whole days, and for clocks that differ

Counts = dict[str, int]


def drop_old_rows(catalog: Catalog, living: Collection[str]) -> Counts:
    """Delete old rows, and return how many of each kind; `living` are the backups that the repository holds."""
    return catalog.cleanup(backup_days(catalog, living), RESTORE_DAYS, EXECUTION_DAYS, FAILED_DAYS)


def backup_days(catalog: Catalog, living: Collection[str]) -> int:
    """Return after how many days rows of backups may go, so that the oldest of those that are there keeps its row."""
    rows = [row for backup_id in living if (row := catalog.job(backup_id)) is not None]
    oldest = min((row.completed_at or row.started_at for row in rows), default=None)
    if oldest is None:
        return BACKUP_DAYS
    return max(BACKUP_DAYS, (datetime.now(UTC) - oldest).days + _SLACK_DAYS)
