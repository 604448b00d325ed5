"""The record of an execution: what it is about, and for each step what became of it. It is what a resumed execution goes by.

Kept in `disaster_recovery_executions`, and in a file of the home while it is on its way, so that a catalog that is lost with what
it protects stops nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from holdfast.repository import canonical

Json = dict[str, Any]
Status = Literal["running", "success", "failed", "partial"]
StepState = Literal["waiting", "running", "done", "not needed", "failed", "left out", "undone"]
"""`not needed`: there was nothing to do. `left out`: what it waits for failed, or the system was found well."""

FINISHED: frozenset[StepState] = frozenset({"done", "not needed"})
"""What is not done again when an execution is resumed."""

APPROVAL = "approval"
"""What an execution waits for that a person has to agree to."""


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What became of one step; `undo` is what its type needs to undo it."""

    id: str
    name: str
    type: str
    state: StepState = "waiting"
    attempts: int = 0
    started_at: datetime | None = None
    completed_at: datetime | None = None
    summary: str | None = None
    output: Json = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    error: str | None = None
    undo: Json | None = None

    def document(self) -> Json:
        """Describe it as `steps_executed` has it."""
        return {
            "id": self.id,
            "name": self.name,
            "type": self.type,
            "outcome": self.state,
            "attempts": self.attempts,
            "startedAt": self.started_at and canonical.time_text(self.started_at),
            "completedAt": self.completed_at and canonical.time_text(self.completed_at),
            "summary": self.summary,
            "output": self.output,
            "notes": list(self.notes),
            "error": self.error,
            "undo": self.undo,
        }

    @classmethod
    def of(cls, document: Json) -> StepRecord:
        """Read what `document` wrote. Raises KeyError, ValueError."""
        times: Json = {
            name: document[key] and canonical.time_from(document[key])
            for name, key in (("started_at", "startedAt"), ("completed_at", "completedAt"))
        }
        same = {name: document[name] for name in ("id", "name", "type", "attempts", "summary", "output", "error", "undo")}
        return cls(**same, **times, state=document["outcome"], notes=tuple(document["notes"]))


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution of a plan. `facts` are what the event said; `plan` is the plan as it was when it began."""

    id: str
    plan_id: str
    trigger: str
    mode: str
    started_at: datetime
    status: Status = "running"
    completed_at: datetime | None = None
    steps: tuple[StepRecord, ...] = ()
    error: str | None = None
    facts: Json = field(default_factory=dict)
    plan: Json = field(default_factory=dict)
    forced: bool = False
    approved_by: str | None = None
    waiting_for: str | None = None
    """What it waits for, such as an approval or another execution; None while it is at work."""
    metadata: Json = field(default_factory=dict)
    """More facts: `flowRunId`, process, times of event and first step."""

    @property
    def duration_ms(self) -> int | None:
        """How long it took, in milliseconds."""
        return None if self.completed_at is None else round((self.completed_at - self.started_at).total_seconds() * 1000)

    def step(self, step_id: str) -> StepRecord:
        """Find the record of a step. Raises KeyError."""
        return {one.id: one for one in self.steps}[step_id]

    def with_step(self, record: StepRecord) -> Execution:
        """Return it with this record in the place of that step's former one."""
        return replace(self, steps=tuple(record if one.id == record.id else one for one in self.steps))

    def document(self) -> Json:
        """Describe it as commands, files and the flow's result do."""
        return {
            "executionId": self.id,
            "planId": self.plan_id,
            "trigger": self.trigger,
            "mode": self.mode,
            "status": self.status,
            "startedAt": canonical.time_text(self.started_at),
            "completedAt": self.completed_at and canonical.time_text(self.completed_at),
            "durationMs": self.duration_ms,
            "steps": [one.document() for one in self.steps],
            "error": self.error,
            "facts": self.facts,
            "plan": self.plan,
            "forced": self.forced,
            "approvedBy": self.approved_by,
            "waitingFor": self.waiting_for,
            "metadata": self.metadata,
        }

    @classmethod
    def of(cls, document: Json) -> Execution:
        """Read what `document` wrote. Raises KeyError, ValueError."""
        completed = document["completedAt"]
        return cls(
            id=document["executionId"],
            plan_id=document["planId"],
            trigger=document["trigger"],
            mode=document["mode"],
            status=document["status"],
            started_at=canonical.time_from(document["startedAt"]),
            completed_at=completed and canonical.time_from(completed),
            steps=tuple(StepRecord.of(one) for one in document["steps"]),
            error=document["error"],
            facts=document["facts"],
            plan=document["plan"],
            forced=document["forced"],
            approved_by=document["approvedBy"],
            waiting_for=document["waitingFor"],
            metadata=document["metadata"],
        )
