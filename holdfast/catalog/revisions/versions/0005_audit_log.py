"""The audit log, which is only ever added to."""

from holdfast.catalog.migrations import run_migration

revision = "0005_audit_log"
down_revision = "0004_recovery_plan_options"


def upgrade() -> None:
    run_migration(revision)
