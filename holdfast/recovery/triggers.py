"""The guide's trigger events: their names, and which of them tells of what an assessment has found.

An event is called by the guide's own name, and its resource is `holdfast.recovery`, of a target `holdfast.<target>.recovery`.
"""

from __future__ import annotations

from holdfast.recovery.verdict import State, Subject, Verdict

DATABASE_UNAVAILABLE = "database_unavailable"
DATABASE_CORRUPTION = "database_corruption"
DATABASE_PERFORMANCE_DEGRADED = "database_performance_degraded"
FUNCTION_DEPLOYMENT_FAILED = "function_deployment_failed"
FUNCTION_RUNTIME_ERROR = "function_runtime_error"
FUNCTION_TIMEOUT = "function_timeout"
CONFIG_VALIDATION_FAILED = "config_validation_failed"
CONFIG_CORRUPTION_DETECTED = "config_corruption_detected"
SECRETS_COMPROMISE_DETECTED = "secrets_compromise_detected"
UNAUTHORIZED_ACCESS = "unauthorized_access"

TRIGGERS: tuple[str, ...] = (
    DATABASE_UNAVAILABLE,
    DATABASE_CORRUPTION,
    DATABASE_PERFORMANCE_DEGRADED,
    FUNCTION_DEPLOYMENT_FAILED,
    FUNCTION_RUNTIME_ERROR,
    FUNCTION_TIMEOUT,
    CONFIG_VALIDATION_FAILED,
    CONFIG_CORRUPTION_DETECTED,
    SECRETS_COMPROMISE_DETECTED,
    UNAUTHORIZED_ACCESS,
)
"""All of the guide's."""

RESOURCE = "recovery"
"""The type in the resource of these events: see orchestration/events.py."""

_TELLS: dict[tuple[Subject, State], str] = {
    ("database", "unreachable"): DATABASE_UNAVAILABLE,
    ("database", "lost"): DATABASE_UNAVAILABLE,
    ("database", "damaged"): DATABASE_CORRUPTION,
    ("database", "incomplete"): DATABASE_CORRUPTION,
    ("database", "slow"): DATABASE_PERFORMANCE_DEGRADED,
    ("function", "lost"): FUNCTION_DEPLOYMENT_FAILED,
    ("function", "incomplete"): FUNCTION_DEPLOYMENT_FAILED,
    ("function", "failing"): FUNCTION_RUNTIME_ERROR,
    ("function", "slow"): FUNCTION_TIMEOUT,
    ("function", "unreachable"): FUNCTION_TIMEOUT,
    ("config", "failing"): CONFIG_VALIDATION_FAILED,
    ("config", "lost"): CONFIG_CORRUPTION_DETECTED,
    ("config", "incomplete"): CONFIG_CORRUPTION_DETECTED,
    ("config", "damaged"): CONFIG_CORRUPTION_DETECTED,
    ("secrets", "compromised"): SECRETS_COMPROMISE_DETECTED,
}

_SUBJECTS: dict[str, Subject] = {event: subject for (subject, _), event in _TELLS.items()} | {UNAUTHORIZED_ACCESS: "secrets"}

UNAUTHORIZED = "unauthorized"
"""The key of a verdict's evidence that names roles which nobody has been told of: then it is `unauthorized_access`."""


def trigger_of(verdict: Verdict) -> str | None:
    """Name the event that tells of this verdict; None where nobody is to be told."""
    if verdict.evidence.get(UNAUTHORIZED):
        return UNAUTHORIZED_ACCESS
    return _TELLS.get((verdict.subject, verdict.state))


def tells_of(trigger: str) -> Subject | None:
    """Name the subject that an event of the guide tells of; None for any other event."""
    return _SUBJECTS.get(trigger)
