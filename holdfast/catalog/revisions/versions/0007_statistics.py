"""The same statistics from fewer steps a row."""

from holdfast.catalog.migrations import run_migration

revision = "0007_statistics"
down_revision = "0006_jobs_and_requests"


def upgrade() -> None:
    run_migration(revision)
