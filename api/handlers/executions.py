"""Executions of recovery plans: started, listed, gone on with, rolled back. Their runs take long, so the answer is the id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from api.action import Action, Asked, Body, Json
from api.handlers.pages import PageWanted
from api.handlers.plans import book_of
from api.starting import answer_of
from holdfast.recovery.execution import Status
from orchestration.recovery.asking import Asking, Mode, Wish
from orchestration.recovery.known import Wanted, known_execution, known_executions, place_of
from orchestration.submitting import Repeatable, Submitted

if TYPE_CHECKING:
    from holdfast.recovery.execution import Execution

ExecutionId = Annotated[str, Field(min_length=1, max_length=100)]
_TRIGGER = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$"


class HowToRecover(Body):
    """How a plan is to be carried out."""

    trigger: str = Field("manual", pattern=_TRIGGER, description="What has happened; test_trigger makes it a drill")
    mode: Mode = Field("run", description="run: do it. plan: look, and say what would be done. drill: do it on scratch targets")
    force: bool = Field(False, description="Recover though nothing seems to be lost, and though the plan is switched off")
    facts: dict[str, Any] = Field(default_factory=dict, description="Facts for the plan; what looks like a secret is masked")


class RecoveryRequest(HowToRecover):
    """Which plan is to be carried out, and how."""

    plan_id: str = Field(min_length=1, max_length=100)


class ExecutionNamed(Body):
    """Which execution."""

    execution_id: ExecutionId


class HowToResume(Body):
    """How an execution is to be gone on with."""

    force: bool = Field(False, description="Recover though nothing seems to be lost")


class Resumed(ExecutionNamed, HowToResume):
    """Which execution is to be gone on with, and how."""


class ExecutionsWanted(PageWanted):
    """Which executions."""

    plan_id: str | None = None
    status: Status | None = None


def _recover(asked: Asked[RecoveryRequest]) -> Json:
    said = asked.said
    plan = book_of(asked.parts).find(said.plan_id).plan
    wish = Wish(plan, said.trigger, said.mode, said.force, said.facts)
    return _started(asked, _asking(asked, RECOVER.name).carry_out(wish), plan.id, wish.really)


def _resume(asked: Asked[Resumed]) -> Json:
    execution = known_execution(asked.parts.settings, asked.said.execution_id)
    submitted = _asking(asked, RESUME.name).go_on(execution, forced=asked.said.force)
    return _started(asked, submitted, execution.plan_id, "run")


def _roll_back(asked: Asked[ExecutionNamed]) -> Json:
    execution = known_execution(asked.parts.settings, asked.said.execution_id)
    return _started(asked, _asking(asked, ROLL_BACK.name).roll_back(execution), execution.plan_id, "roll_back")


def _list(asked: Asked[ExecutionsWanted]) -> Json:
    said = asked.said
    wanted = Wanted(said.plan_id, said.status, said.since, said.limit, said.before)
    page = known_executions(asked.parts.settings, wanted)
    after = said.cursor_at(place_of(page.executions[-1])) if page.more else None
    return {"executions": [_short(one) for one in page.executions], "nextCursor": after, "note": page.note}


def _show(asked: Asked[ExecutionNamed]) -> Json:
    return known_execution(asked.parts.settings, asked.said.execution_id).document()


def _short(execution: Execution) -> Json:
    return {name: value for name, value in execution.document().items() if name != "plan"}


def _asking(asked: Asked[Any], action: str) -> Asking:
    parts, name = asked.parts, asked.caller.name
    said = asked.said.model_dump(mode="json")
    repeatable = None if asked.idempotency_key is None else Repeatable.of(asked.idempotency_key, name, action, said)
    return Asking(parts.prefect(), parts.settings, name, repeatable)


def _started(asked: Asked[Any], submitted: Submitted, plan_id: str, mode: str) -> Json:
    return answer_of(asked, submitted) | {"executionId": submitted.job_id, "planId": plan_id, "mode": mode}


RECOVER = Action("disaster-recovery", "POST", "restore", RecoveryRequest, _recover, status=202, audited="recovery.start")
RESUME = Action("resume-execution", "POST", "restore", Resumed, _resume, status=202, audited="recovery.resume")
ROLL_BACK = Action("roll-back-execution", "POST", "restore", ExecutionNamed, _roll_back, status=202, audited="recovery.roll_back")
EXECUTIONS = Action("executions", "GET", "read", ExecutionsWanted, _list)
EXECUTION = Action("execution", "GET", "read", ExecutionNamed, _show)
