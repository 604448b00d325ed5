"""How things stand, the self-test, the configuration, and the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from api.schemas.document import Document, Json


class Status(Document):
    """How things stand: what is in trouble, each type, the storage and its copies (docs/cli.md has every field)."""

    model_config = ConfigDict(extra="allow")

    at: datetime
    home: str
    target: str | None
    late: bool = Field(description="Whether a fresher look was wanted and did not come in time")
    parts: dict[str, Json] = Field(description="storage, catalog, prefect, worker: each with ok, and its error where it is down")
    types: list[Json]
    alarms: list[Json]


class Tried(Document):
    """One thing that was tried out."""

    model_config = ConfigDict(extra="allow")

    name: str
    ok: bool | None
    seconds: float | None
    error: str | None
    code: str | None


class SelfTest(Document):
    """What came of trying everything out; nothing was changed."""

    ok: bool
    at: datetime
    seconds: float
    tests: list[Tried]


class Alive(Document):
    """That the process answers, or that it can do its work."""

    status: str


class Configuration(Document):
    """The settings in force by the guide's names; secrets are masked."""

    configuration: Json


class ChangedConfiguration(Document):
    """What is kept now, and which schedules follow."""

    configuration: Json
    rescheduled: list[Any]
    problem: str | None


class Initialized(Document):
    """What there is, and what of it was made now."""

    home: str
    repository: Json
    catalog: Json
    plans: Any
    prefect: Json
    blocks: list[str]
    channels: list[Json]
    configuration: Json
    rescheduled: list[Any]


class AuditLines(Document):
    """A page of the audit log, the newest first."""

    lines: list[Json]
    next_cursor: str | None


class AuditVerification(Document):
    """Whether the audit log is as it was written."""

    model_config = ConfigDict(extra="allow")

    ok: bool
