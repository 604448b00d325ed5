"""Recovery plans: what each does and when it was drilled, and carrying one out: looking only, as a drill, or for real."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.access import TheParts
from api.handlers.executions import EXECUTIONS, RECOVER
from api.handlers.plans import PLAN, PLANS
from api.page.asking import answer, answer_or_error
from api.page.person import TheForm, ThePerson, text_in
from api.page.showing import PageRoute, go_to, page
from holdfast.errors import RequestInvalidError

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_PAST = 10


@router.get("/plans")
def list_plans(request: Request, parts: TheParts, person: ThePerson) -> Response:
    """List the plans, the most urgent first."""
    found, wrong = answer_or_error(parts, person, PLANS)
    shown = {
        "plans": found["plans"] if found else [],
        "note": found and found["note"],
        "unreadable": found["unreadable"] if found else [],
    }
    return page(request, person, "plans.html", section="Plans", wrong=wrong, **shown)


@router.get("/plans/{plan_id}")
def show_plan(request: Request, parts: TheParts, person: ThePerson, plan_id: str) -> Response:
    """Show a plan with its steps, and what it did last."""
    plan = answer(parts, person, PLAN, planId=plan_id)
    past, _ = answer_or_error(parts, person, EXECUTIONS, planId=plan_id, limit=str(_PAST))
    executions = past["executions"] if past else []
    return page(request, person, "plan.html", section="Plans", plan=plan, executions=executions)


@router.post("/plans/{plan_id}/executions")
def carry_out(request: Request, parts: TheParts, person: ThePerson, plan_id: str, form: TheForm) -> Response:
    """Carry a plan out; for real only where the person has said that this is meant."""
    mode = text_in(form, "mode")
    if mode == "run" and text_in(form, "sure") != "yes":
        raise RequestInvalidError(
            "nobody has said that what is live is to be recovered", next_step="Tick the box beside the button first"
        )
    begun = answer(parts, person, RECOVER, text_in(form, "key"), planId=plan_id, mode=mode, trigger="manual")
    return go_to(request, f"/executions/{begun['jobId']}")
