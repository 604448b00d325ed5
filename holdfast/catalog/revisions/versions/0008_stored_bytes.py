"""What backups add up to each day, kept by triggers, and statistics from it."""

from holdfast.catalog.migrations import run_migration

revision = "0008_stored_bytes"
down_revision = "0007_statistics"


def upgrade() -> None:
    run_migration(revision)
