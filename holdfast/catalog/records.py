"""Rows of the catalog as Python sees them, and metadata on its way into a row.

Times are aware UTC. Text that PostgreSQL can't hold is made fit rather than refused: the end of a job must always be writable.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar, Literal

JobType = Literal["database", "function", "config", "secrets"]
JobStatus = Literal["pending", "running", "completed", "failed", "cancelled"]
END_STATUSES = ("completed", "failed", "cancelled")

Metadata = dict[str, Any]


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A backup job; `size_bytes` is what was read from the source."""

    kind: ClassVar[str] = "backup"

    job_id: str
    type: str
    status: str
    started_at: datetime
    completed_at: datetime | None = None
    size_bytes: int | None = None
    checksum: str | None = None
    location: str | None = None
    error_message: str | None = None
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RestoreRecord:
    """A restore job."""

    kind: ClassVar[str] = "restore"

    job_id: str
    backup_id: str
    type: str
    status: str
    started_at: datetime
    completed_at: datetime | None = None
    error_message: str | None = None
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MaintenanceRecord:
    """A job that the guide has no table for; `document` is what it ended with."""

    job_id: str
    kind: str
    type: str
    status: str
    started_at: datetime
    completed_at: datetime | None = None
    error_message: str | None = None
    metadata: Metadata = field(default_factory=dict)
    document: dict[str, Any] | None = None


Record = JobRecord | RestoreRecord | MaintenanceRecord
_UNFIT = re.compile(r"\\u(?:0000|d[89a-f])")
"""How JSON writes a NUL and halves of pairs; whole pairs, too, which are fit."""


def from_row(row: dict[str, Any]) -> dict[str, Any]:
    """Make a row's values what is promised: times in UTC, metadata never None, numbers that JSON knows."""
    values = {name: _plain(value) for name, value in row.items()}
    if "metadata" in values:
        values["metadata"] = values["metadata"] or {}
    return values


def to_json(value: Any) -> str:
    """Write a value as JSON that a jsonb column takes. What is fit already, as nearly all is, is not looked at word by word."""
    try:
        written = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):  # it holds what JSON does not know
        return json.dumps(_fit(value), allow_nan=False)
    return json.dumps(_fit(value), allow_nan=False) if _UNFIT.search(written) else written


def to_text(value: str | None) -> str | None:
    """Make text fit for a text column."""
    return None if value is None else _fit_text(value)


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.astimezone(UTC)
        case Decimal():
            return float(value)
    return value


def _fit(value: Any) -> Any:
    match value:
        case str():
            return _fit_text(value)
        case datetime():
            return value.astimezone(UTC).isoformat()
        case float() if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124  NaN alone differs from itself
            return None
        case Mapping():
            return {_fit_text(str(name)): _fit(one) for name, one in value.items()}
        case list() | tuple():
            return [_fit(one) for one in value]
    return value


def _fit_text(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\N{REPLACEMENT CHARACTER}")
