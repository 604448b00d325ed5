"""What a run of the flow was asked for, and which execution it is about: a new one, one that is resumed, or its own from before.

A flow run that runs again (tried again by Prefect, or suspended and resumed) goes on with the execution that it had begun.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from prefect.runtime import flow_run

from holdfast.errors import ApprovalNeededError, NotFoundError, RefusedError, SettingsError
from holdfast.recovery.execution import APPROVAL, Execution
from holdfast.recovery.plan import TEST_TRIGGER
from orchestration.recovery.approval import Answer, answer_for, may_come_back, state_of
from orchestration.recovery.record import close_unanswered, execution_of_flow_run, find_execution

Json = dict[str, Any]
Mode = Literal["run", "plan", "drill", "roll_back"]


@dataclass(frozen=True, slots=True)
class Request:
    """What is wanted. `event_id` and `occurred_at` are of the event that started the run, where one did."""

    plan_id: str
    trigger: str = "manual"
    mode: Mode = "run"
    facts: Json = field(default_factory=dict)
    event_id: str | None = None
    occurred_at: datetime | None = None
    forced: bool = False
    approved_by: str | None = None
    job_id: str | None = None
    execution: Execution | None = None
    """The execution to go on with."""
    answer: Answer | None = None
    """What a person has said to it."""

    @property
    def only_looks(self) -> bool:
        return self.mode == "plan"

    @property
    def by_event(self) -> bool:
        return self.event_id is not None

    def of(self, execution: Execution) -> Request:
        """Ask for the same of an execution that was begun before. Raises NotFoundError where it is one of another plan."""
        if execution.plan_id != self.plan_id:
            message = f"{execution.id} is no execution of the plan {self.plan_id}"
            raise NotFoundError(message, next_step=f"It is one of the plan {execution.plan_id}")
        again = replace(self, execution=execution, job_id=execution.id)
        return again if self.mode == "roll_back" else replace(again, mode="drill" if execution.mode == "drill" else "run")

    def answered(self, execution: Execution) -> Request:
        """Get a person's answer, and go on with it. Raises ApprovalNeededError; a deployment's run ends here until then."""
        try:
            return replace(self.of(execution), answer=answer_for(execution))
        except ApprovalNeededError:
            close_unanswered(execution)
            raise


def taken_up(request: Request, resume: str | None) -> Request:
    """Find the execution that a request goes on with, and the answer that it waited for.

    Raises NotFoundError, SettingsError, and RefusedError where the execution waits for another run to be answered.
    """
    if request.occurred_at is not None and request.occurred_at.tzinfo is None:
        request = replace(request, occurred_at=request.occurred_at.replace(tzinfo=UTC))
    if request.trigger == TEST_TRIGGER and request.mode == "run":
        request = replace(request, mode="drill")
    if resume is not None:
        return request.of(_not_waiting(find_execution(resume)))
    if request.mode == "roll_back":
        raise SettingsError("a roll-back needs the execution that is to be undone", next_step="Give its id")
    # Prefect does not count a run that is resumed as another one, so every run that may have been begun before is looked up.
    own = execution_of_flow_run(flow_run.id) if flow_run.id is not None and may_come_back() else None
    if own is None:
        return request
    waits = own.status == "running" and own.waiting_for == APPROVAL
    return request.answered(own) if waits else request.of(own)


def _not_waiting(execution: Execution) -> Execution:
    """Let through what no suspended run is about to go on with. Raises RefusedError: it wants an answer first."""
    suspended = execution.status == "running" and execution.waiting_for == APPROVAL and execution.metadata.get("suspended")
    state = state_of(execution.metadata.get("flowRunId")) if suspended else None
    if state == "goes on":
        raise RefusedError(
            f"the execution {execution.id} was answered, and is about to go on",
            reason="its own run waits for a worker",
            next_step="Start a worker; or cancel that run in the Prefect UI, then resume",
        )
    if state == "waits":
        raise RefusedError(
            f"the execution {execution.id} waits for a person's approval",
            reason="its own run goes on with it when it is answered",
            next_step=f"Answer it: holdfast recover --approve {execution.id}, or --deny {execution.id}",
        )
    return execution
