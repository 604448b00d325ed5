"""`/v1/executions`: what recovery plans did and do, and a person's answer to one that waits for it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api.access import TheCaller, TheParts
from api.action import Asked, perform
from api.answer import JsonAnswer
from api.guide import understood
from api.handlers import approvals, executions
from api.idempotency_key import IdempotencyKey

router = APIRouter(prefix="/v1/executions", tags=["executions"])


@router.get("", response_class=JsonAnswer)
def list_executions(wanted: Annotated[executions.ExecutionsWanted, Query()], parts: TheParts, caller: TheCaller) -> JsonAnswer:
    """List executions, the newest first."""
    return JsonAnswer(perform(executions.EXECUTIONS, Asked(parts, caller, wanted)))


@router.get("/{execution_id}", response_class=JsonAnswer)
def show_execution(execution_id: str, parts: TheParts, caller: TheCaller) -> JsonAnswer:
    """Show an execution with its plan, and what became of each step."""
    return JsonAnswer(perform(executions.EXECUTION, Asked(parts, caller, _named(execution_id))))


@router.post("/{execution_id}/approval", response_class=JsonAnswer)
def answer_execution(
    execution_id: str, said: approvals.Answer, parts: TheParts, caller: TheCaller, idempotency_key: IdempotencyKey = None
) -> JsonAnswer:
    """Agree to an execution that waits for it, or refuse it."""
    answered = understood(approvals.Answered, {"executionId": execution_id, **said.model_dump(by_alias=True)})
    action = approvals.APPROVE if said.approve else approvals.DENY
    return JsonAnswer(perform(action, Asked(parts, caller, answered, idempotency_key)))


@router.post("/{execution_id}/resume", response_class=JsonAnswer, status_code=202)
def resume_execution(
    execution_id: str,
    parts: TheParts,
    caller: TheCaller,
    said: executions.HowToResume | None = None,
    idempotency_key: IdempotencyKey = None,
) -> JsonAnswer:
    """Go on with an execution where it stopped; what is done is not done again."""
    how = (said or executions.HowToResume()).model_dump(by_alias=True)
    wanted = understood(executions.Resumed, {"executionId": execution_id, **how})
    return JsonAnswer(perform(executions.RESUME, Asked(parts, caller, wanted, idempotency_key)), executions.RESUME.status)


@router.post("/{execution_id}/roll-back", response_class=JsonAnswer, status_code=202)
def roll_back_execution(
    execution_id: str, parts: TheParts, caller: TheCaller, idempotency_key: IdempotencyKey = None
) -> JsonAnswer:
    """Undo what an execution did, the last step first."""
    asked = Asked(parts, caller, _named(execution_id), idempotency_key)
    return JsonAnswer(perform(executions.ROLL_BACK, asked), executions.ROLL_BACK.status)


def _named(execution_id: str) -> executions.ExecutionNamed:
    return understood(executions.ExecutionNamed, {"executionId": execution_id})
