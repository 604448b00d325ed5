"""What a listing says of a job that only the catalog knows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from holdfast import documents
from holdfast.catalog import JobRecord


@pytest.mark.parametrize(("row", "listed"), [("completed", "gone"), ("failed", "failed"), ("running", "running")])
def test_a_backup_that_the_repository_has_lost_never_lists_as_good(row: str, listed: str) -> None:
    record = JobRecord("backup_1764014136_9f2c1a", "database", row, datetime(2026, 11, 23, tzinfo=UTC))
    assert documents.of_row(record)["status"] == listed
