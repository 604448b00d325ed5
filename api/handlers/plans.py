"""Recovery plans: what there is, and changes to it, which what starts plans follows at once.

A plan that comes this way holds nothing that `holdfast.recovery.outside` does not let through. The plans are found though the
catalog is gone, and changed where it is there.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import Field

from api.action import Action, Asked, Body, Json, Nothing
from holdfast.errors import RequestInvalidError
from holdfast.opening import open_running_catalog
from holdfast.recovery.outside import require_allowed
from holdfast.recovery.plan import read_plan
from holdfast.recovery.plan_book import PlanBook
from orchestration.following import follow_plans
from orchestration.recovery.channels import require_channels

if TYPE_CHECKING:
    from api.parts import Parts
    from holdfast.recovery.plan import Plan


class PlanNamed(Body):
    """Which plan."""

    plan_id: str = Field(min_length=1, max_length=100)


class ThePlan(Body):
    """A plan, in the guide's structure."""

    plan: dict[str, Any]


class NewPlan(ThePlan):
    """A plan that is to be added."""

    replace: bool = Field(False, description="Change the plan that has this id, if there is one; its executions stay")


class ChangedPlan(PlanNamed, ThePlan):
    """A plan that takes the place of the one with its id."""


def _plans(asked: Asked[Nothing]) -> Json:
    found = book_of(asked.parts).all()
    untested = found.untested(asked.parts.settings.plan_test_days, datetime.now(UTC))
    return {
        "plans": [_described(plan, found.origin) | {"untested": plan.id in untested} for plan in found.plans],
        "origin": found.origin,
        "note": found.note,
        "unreadable": [error.what_and_why for error in found.unreadable],
    }


def _plan(asked: Asked[PlanNamed]) -> Json:
    found = book_of(asked.parts).find(asked.said.plan_id)
    return _described(found.plan, found.origin) | {"note": found.note}


def _add(asked: Asked[NewPlan]) -> Json:
    return _put(asked.parts, asked.said.plan, replace=asked.said.replace)


def _replace(asked: Asked[ChangedPlan]) -> Json:
    """Change a plan that is there. Raises NotFoundError where there is none."""
    said = asked.said
    if said.plan.get("id", said.plan_id) != said.plan_id:
        raise RequestInvalidError("the plan has another id than the one that it is to replace", fields={"plan.id": "another id"})
    book_of(asked.parts).find(said.plan_id)
    return _put(asked.parts, {**said.plan, "id": said.plan_id}, replace=True)


def _put(parts: Parts, document: Json, *, replace: bool) -> Json:
    # When a plan was tested is what its drills say, and nobody else; where its steps stay, it stays tested.
    plan = read_plan(document).model_copy(update={"last_tested": None})
    require_allowed(plan)
    require_channels(plan, parts.settings)
    replaced = book_of(parts).add([plan], replace=replace)[plan.id]
    return _changed(parts, {"planId": plan.id, "replaced": replaced})


def _remove(asked: Asked[PlanNamed]) -> Json:
    book_of(asked.parts).remove(asked.said.plan_id)
    return _changed(asked.parts, {"planId": asked.said.plan_id, "removed": True})


def _enable(asked: Asked[PlanNamed]) -> Json:
    return _switched(asked, enabled=True)


def _disable(asked: Asked[PlanNamed]) -> Json:
    return _switched(asked, enabled=False)


def _switched(asked: Asked[PlanNamed], *, enabled: bool) -> Json:
    book_of(asked.parts).enable(asked.said.plan_id, enabled)
    return _changed(asked.parts, {"planId": asked.said.plan_id, "enabled": enabled})


def _changed(parts: Parts, document: Json) -> Json:
    """Have the deployments follow, and tell how: `deployments` null where that has to wait."""
    followed = follow_plans(parts.settings)
    return document | {"deployments": followed.changes, "problem": followed.problem}


def _described(plan: Plan, origin: str) -> Json:
    return plan.document() | {"origin": origin}


def book_of(parts: Parts) -> PlanBook:
    """Open the plans; no server is started for it."""
    settings = parts.settings
    return PlanBook(settings, lambda: open_running_catalog(settings))


PLANS = Action("plans", "GET", "read", Nothing, _plans)
PLAN = Action("plan", "GET", "read", PlanNamed, _plan)
ADD = Action("add-plan", "POST", "admin", NewPlan, _add, status=201, audited="plan.add", once=True)
REPLACE = Action("replace-plan", "POST", "admin", ChangedPlan, _replace, audited="plan.replace", once=True)
REMOVE = Action("remove-plan", "POST", "admin", PlanNamed, _remove, audited="plan.remove", once=True)
ENABLE = Action("enable-plan", "POST", "admin", PlanNamed, _enable, audited="plan.enable", once=True)
DISABLE = Action("disable-plan", "POST", "admin", PlanNamed, _disable, audited="plan.disable", once=True)
