"""The answer of a person to an execution that waits for one: it goes on, or ends with nothing changed. Who answers is kept."""

from __future__ import annotations

from pydantic import Field

from api.action import Action, Asked, Body, Json
from api.handlers.executions import ExecutionNamed
from holdfast.errors import PrefectUnreachableError
from orchestration.recovery.known import known_execution
from orchestration.server import use_running_prefect


class Answer(Body):
    """What a person says to an execution that waits for approval."""

    approve: bool = Field(description="Yes: go on, and change what is live. No: end it; nothing is changed")
    comment: str = Field("", max_length=2000, description="Anything to keep with it")


class Answered(ExecutionNamed, Answer):
    """What a person says, and to which execution."""


def _answer(asked: Asked[Answered]) -> Json:
    said, settings = asked.said, asked.parts.settings
    execution = known_execution(settings, said.execution_id)
    if use_running_prefect(settings) is None:
        raise PrefectUnreachableError(
            "no Prefect server answers, and the execution waits there",
            next_step="Start it with 'holdfast serve', and answer again",
        )
    from orchestration.recovery import approval

    approval.give(execution, approval.Answer(said.approve, asked.caller.name, said.comment))
    return {"executionId": execution.id, "planId": execution.plan_id, "approved": said.approve, "by": asked.caller.name}


APPROVE = Action("approve-execution", "POST", "restore", Answered, _answer, audited="recovery.approve", once=True)
DENY = Action("deny-execution", "POST", "restore", Answered, _answer, audited="recovery.deny", once=True)
