"""The guide's path, `/functions/v1/backup?action=…`: every action of the guide, by its name there."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import ValidationError

from api.access import TheCaller, TheParts
from api.action import Action, Asked, Body, perform
from api.answer import JsonAnswer
from api.handlers.plans import PLANS
from api.problems import as_invalid
from holdfast.errors import RequestInvalidError

PATH = "/functions/v1/backup"

ACTIONS: dict[str, Action[Any]] = {action.name: action for action in (PLANS,)}

router = APIRouter(tags=["guide"])


@router.get(PATH, response_class=JsonAnswer)
def look(request: Request, parts: TheParts, caller: TheCaller) -> JsonAnswer:
    """Carry out an action that only looks."""
    action = _action(request, "GET")
    said = {name: value for name, value in request.query_params.multi_items() if name != "action"}
    asked = Asked(parts, caller, understood(action.takes, said))
    return JsonAnswer(perform(action, asked), action.status)


def understood(takes: type[Body], said: dict[str, Any]) -> Body:
    """Read what was said. Raises RequestInvalidError, which names each field that is wrong."""
    try:
        return takes.model_validate(said)
    except ValidationError as error:
        raise as_invalid(error.errors()) from None


def _action(request: Request, method: str) -> Action[Any]:
    name = request.query_params.get("action", "")
    action = ACTIONS.get(name)
    if action is None or action.method != method:
        known = ", ".join(one.name for one in ACTIONS.values() if one.method == method)
        raise RequestInvalidError(f"{name!r} is no action of {method}", reason=f"the actions are {known}")
    return action
