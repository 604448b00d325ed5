"""Which kept settings may be changed from outside, by the HTTP API or by a step of a plan that came that way.

Only what says how often, how long, how much, and by which channel people are told. What says where backups go, what is read into
them, or which address is called stays with whoever may work on the host: changing that would carry data away. What nobody has
listed here is refused.
"""

from __future__ import annotations

from typing import Any

from holdfast.settings.keys import variable_of
from holdfast.settings.topics import (
    CompressionSettings,
    RetentionSettings,
    ScheduleSettings,
    VerificationSettings,
    WorkSettings,
)

CHANGEABLE = frozenset(
    {
        *(f"enable_{kind}_backup" for kind in ("database", "function", "config", "secrets")),
        *(
            field
            for topic in (ScheduleSettings, RetentionSettings, CompressionSettings, VerificationSettings, WorkSettings)
            for field in topic.model_fields
        ),
        "allow_empty",
        "functions_call_seconds",
        "bandwidth_limit",
        "enable_encryption",
        "rpo_target_hours",
        "rto_target_minutes",
        "enable_backup_notifications",
        "notification_channels",
        "failure_notification_threshold",
        "storage_full_percent",
        "storage_capacity_bytes",
        "enable_recovery",
        "monitor_interval_minutes",
        "probe_failures",
        "probe_wait_seconds",
        "slow_seconds",
        "approval_hours",
        "plan_test_days",
        "database_service",
    }
)
"""By their fields."""

_TRUE = (True, "true", "1", "yes", "on")


def why_not(field: str, value: Any) -> str | None:
    """Say why a field may not get this value from outside; None where it may."""
    if field not in CHANGEABLE:
        return (
            f"says where backups go, what is read or which address is called, and is changed on the host alone: "
            f"set {variable_of(field)}, or use 'holdfast config update'"
        )
    if field == "enable_encryption" and not _is_true(value):
        return "may be switched on from outside, and not off: what is stored could be read by whoever has the storage"
    return None


def _is_true(value: Any) -> bool:
    return value is None or (value.lower() if isinstance(value, str) else value) in _TRUE
