"""The guide's five functions."""

from holdfast.catalog.migrations import run_migration

revision = "0003_functions"
down_revision = "0002_indexes"


def upgrade() -> None:
    run_migration(revision)
