"""The same statistics from fewer steps a row still."""

from holdfast.catalog.migrations import run_migration

revision = "0008_stored_bytes"
down_revision = "0007_statistics"


def upgrade() -> None:
    run_migration(revision)
