"""The guide's five tables, and the trigger that keeps updated_at."""

from holdfast.catalog.migrations import run_migration

revision = "0001_tables"
down_revision = None


def upgrade() -> None:
    run_migration(revision)
