"""Recovery plans: listed here."""

from __future__ import annotations

from api.action import Action, Asked, Json, Nothing
from holdfast.recovery.plan_book import PlanBook


def _plans(asked: Asked[Nothing]) -> Json:
    found = PlanBook(asked.parts.settings).all()
    return {"plans": [plan.document() for plan in found.plans], "origin": found.origin, "note": found.note}


PLANS = Action("plans", "GET", "read", Nothing, _plans)
