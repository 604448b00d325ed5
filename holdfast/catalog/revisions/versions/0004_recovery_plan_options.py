"""What a recovery plan has beyond the guide's columns, and that removed plans stay removed."""

from holdfast.catalog.migrations import run_migration

revision = "0004_recovery_plan_options"
down_revision = "0003_functions"


def upgrade() -> None:
    run_migration(revision)
