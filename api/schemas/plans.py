"""Recovery plans, changes to them, and their executions."""

from __future__ import annotations

from datetime import datetime

from pydantic import ConfigDict, Field

from api.schemas.document import Document, Json
from api.schemas.jobs import StartedJob


class Plan(Document):
    """A plan, in the guide's structure (docs/plans.md), and where it was found."""

    model_config = ConfigDict(extra="allow")

    id: str
    name: str
    priority: str
    enabled: bool
    steps: list[Json]
    triggers: list[str]
    origin: str = Field(description="Where it was read: in the catalog, or elsewhere while that is gone")


class Plans(Document):
    """All plans, the most urgent first."""

    plans: list[Plan]
    origin: str
    note: str | None
    unreadable: list[str] = Field(description="What is wrong with plans that can't be read")


class ChangedPlan(Document):
    """A plan that was added, replaced, removed or switched, and what changed on the Prefect server."""

    plan_id: str
    replaced: bool | None = None
    removed: bool | None = None
    enabled: bool | None = None
    deployments: list[str] | None = Field(description="Each change as a sentence; null: it has to wait for the Prefect server")
    problem: str | None


class StartedExecution(StartedJob):
    """An execution of a plan that was started; it is a job, too, whose id is the execution's."""

    execution_id: str
    plan_id: str
    mode: str


class Execution(Document):
    """An execution, and what became of each step. The plan that it carries out is there where one is shown."""

    execution_id: str
    plan_id: str
    trigger: str
    mode: str
    status: str
    started_at: datetime
    completed_at: datetime | None
    duration_ms: int | None
    steps: list[Json]
    error: str | None
    facts: Json
    plan: Json | None = None
    forced: bool
    approved_by: str | None
    waiting_for: Json | str | None
    metadata: Json


class Executions(Document):
    """A page of executions, the newest first."""

    executions: list[Execution]
    next_cursor: str | None
    note: str | None


class AnsweredExecution(Document):
    """What was said to an execution that waited for a person."""

    execution_id: str
    plan_id: str
    approved: bool
    by: str


class EmittedEvent(Document):
    """An event that was emitted, and the runs that it started."""

    event: str
    event_id: str
    plans: list[str]
    paused: list[str]
    worker_online: bool | None
    runs: list[Json]
