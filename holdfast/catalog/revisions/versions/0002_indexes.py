"""What a million rows need."""

from holdfast.catalog.migrations import run_migration

revision = "0002_indexes"
down_revision = "0001_tables"


def upgrade() -> None:
    run_migration(revision)
