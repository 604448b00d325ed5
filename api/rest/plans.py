"""`/v1/plans`: the recovery plans."""

from __future__ import annotations

from fastapi import APIRouter

from api.access import TheCaller, TheParts
from api.action import Asked, Nothing, perform
from api.answer import JsonAnswer
from api.handlers import plans

router = APIRouter(prefix="/v1/plans", tags=["plans"])


@router.get("", response_class=JsonAnswer)
def list_plans(parts: TheParts, caller: TheCaller) -> JsonAnswer:
    """List the plans, the most urgent first."""
    return JsonAnswer(perform(plans.PLANS, Asked(parts, caller, Nothing())))
