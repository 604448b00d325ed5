"""`/v1/plans`: the recovery plans, and what carries one out."""

from __future__ import annotations

from fastapi import APIRouter

from api.access import TheCaller, TheParts
from api.action import Asked, Nothing, perform
from api.answer import JsonAnswer
from api.guide import understood
from api.handlers import executions, plans
from api.idempotency_key import IdempotencyKey

router = APIRouter(prefix="/v1/plans", tags=["plans"])


@router.get("", response_class=JsonAnswer)
def list_plans(parts: TheParts, caller: TheCaller) -> JsonAnswer:
    """List the plans, the most urgent first."""
    return JsonAnswer(perform(plans.PLANS, Asked(parts, caller, Nothing())))


@router.post("", response_class=JsonAnswer, status_code=201)
def add_plan(said: plans.NewPlan, parts: TheParts, caller: TheCaller, idempotency_key: IdempotencyKey = None) -> JsonAnswer:
    """Add a plan. Its events start it from now on."""
    return JsonAnswer(perform(plans.ADD, Asked(parts, caller, said, idempotency_key)), plans.ADD.status)


@router.get("/{plan_id}", response_class=JsonAnswer)
def show_plan(plan_id: str, parts: TheParts, caller: TheCaller) -> JsonAnswer:
    """Show a plan with its steps."""
    return JsonAnswer(perform(plans.PLAN, Asked(parts, caller, _named(plan_id))))


@router.put("/{plan_id}", response_class=JsonAnswer)
def replace_plan(
    plan_id: str, said: plans.ThePlan, parts: TheParts, caller: TheCaller, idempotency_key: IdempotencyKey = None
) -> JsonAnswer:
    """Change a plan that is there; its executions stay."""
    changed = understood(plans.ChangedPlan, {"planId": plan_id, "plan": said.plan})
    return JsonAnswer(perform(plans.REPLACE, Asked(parts, caller, changed, idempotency_key)))


@router.delete("/{plan_id}", response_class=JsonAnswer)
def remove_plan(plan_id: str, parts: TheParts, caller: TheCaller) -> JsonAnswer:
    """Remove a plan. What it has done stays on record."""
    return JsonAnswer(perform(plans.REMOVE, Asked(parts, caller, _named(plan_id))))


@router.post("/{plan_id}/enable", response_class=JsonAnswer)
def enable_plan(plan_id: str, parts: TheParts, caller: TheCaller, idempotency_key: IdempotencyKey = None) -> JsonAnswer:
    """Let a plan's events start it again."""
    return JsonAnswer(perform(plans.ENABLE, Asked(parts, caller, _named(plan_id), idempotency_key)))


@router.post("/{plan_id}/disable", response_class=JsonAnswer)
def disable_plan(plan_id: str, parts: TheParts, caller: TheCaller, idempotency_key: IdempotencyKey = None) -> JsonAnswer:
    """Keep a plan's events from starting it."""
    return JsonAnswer(perform(plans.DISABLE, Asked(parts, caller, _named(plan_id), idempotency_key)))


@router.post("/{plan_id}/executions", response_class=JsonAnswer, status_code=202)
def carry_plan_out(
    plan_id: str,
    parts: TheParts,
    caller: TheCaller,
    said: executions.HowToRecover | None = None,
    idempotency_key: IdempotencyKey = None,
) -> JsonAnswer:
    """Carry a plan out, drill it, or have it said what it would do. The answer has the id of the execution."""
    how = (said or executions.HowToRecover()).model_dump(by_alias=True)
    wanted = understood(executions.RecoveryRequest, {"planId": plan_id, **how})
    return JsonAnswer(perform(executions.RECOVER, Asked(parts, caller, wanted, idempotency_key)), executions.RECOVER.status)


def _named(plan_id: str) -> plans.PlanNamed:
    return understood(plans.PlanNamed, {"planId": plan_id})
