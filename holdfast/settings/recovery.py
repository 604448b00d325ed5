"""The settings of recovery plans: what the health monitor probes and how often, and what a plan may do by itself."""

from __future__ import annotations

from pydantic import BaseModel, Field

from holdfast.settings.kinds import Days, Failures, GraceHours, MonitorMinutes, OptionalName, Patterns, Seconds


class RecoverySettings(BaseModel):
    """What is watched for trouble, and how a recovery plan meets it."""

    enable_recovery: bool = Field(
        True,
        validation_alias="BACKUP_ENABLE_RECOVERY",
        description="Let the health monitor emit the events that start recovery plans; false, plans start by hand only",
    )
    monitor_interval_minutes: MonitorMinutes = Field(
        5, validation_alias="BACKUP_MONITOR_INTERVAL", description="Minutes between two looks of the health monitor"
    )
    probe_failures: Failures = Field(
        3,
        validation_alias="BACKUP_PROBE_FAILURES",
        description="Looks in a row, of one run of the monitor, that must find the same trouble before an event is emitted",
    )
    probe_wait_seconds: Seconds = Field(
        5, validation_alias="BACKUP_PROBE_WAIT", description="Seconds between two looks at what seems to be in trouble"
    )
    slow_seconds: Seconds = Field(
        5, validation_alias="BACKUP_SLOW_SECONDS", description="Seconds that a small query may take before the database is slow"
    )
    approval_hours: GraceHours = Field(
        24, validation_alias="BACKUP_APPROVAL_HOURS", description="Hours that an execution waits for a person's approval"
    )
    plan_test_days: Days = Field(
        92,
        validation_alias="BACKUP_PLAN_TEST_DAYS",
        description="Days after its last drill when a recovery plan counts as untested",
    )
    database_service: OptionalName = Field(
        None,
        validation_alias="BACKUP_DATABASE_SERVICE",
        description="ManagedService of the database's server, which a plan starts before it restores anything",
    )
    leak_files: Patterns = Field(
        [],
        validation_alias="BACKUP_LEAK_FILES",
        description="Files in which no secret's value may stand, such as logs; one that is found there counts as compromised",
    )
