"""Jobs that the guide has no table for, and requests of the HTTP API that are answered once."""

from holdfast.catalog.migrations import run_migration

revision = "0006_jobs_and_requests"
down_revision = "0005_audit_log"


def upgrade() -> None:
    run_migration(revision)
