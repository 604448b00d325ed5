"""The guide's path, `/functions/v1/backup?action=…`: every action of the guide, by its name there."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError

from api.access import TheCaller, TheParts
from api.action import Action, Asked, B, perform
from api.actions import ACTIONS
from api.answer import JsonAnswer
from api.idempotency_key import IdempotencyKey
from api.problems import as_invalid
from api.waiting import answered
from holdfast.errors import RequestInvalidError

PATH = "/functions/v1/backup"

router = APIRouter(tags=["guide"])


@router.get(PATH, response_class=JsonAnswer)
async def look(request: Request, parts: TheParts, caller: TheCaller) -> JsonAnswer:
    """Carry out an action that only looks; where that shows a job and is asked to wait, as soon as the job has ended."""
    action = _action(request, "GET")
    said = {name: value for name, value in request.query_params.multi_items() if name != "action"}
    asked = Asked(parts, caller, understood(action.takes, said))
    return JsonAnswer(await answered(action, asked, request.app.state.waiting), action.status)


async def _body(request: Request) -> bytes:
    return await request.body()


@router.post(PATH, response_class=JsonAnswer)
def do(
    request: Request,
    parts: TheParts,
    caller: TheCaller,
    body: Annotated[bytes, Depends(_body)],
    idempotency_key: IdempotencyKey = None,
) -> JsonAnswer:
    """Carry out an action that does something; what runs long is answered at once, with the id of its job."""
    action = _action(request, "POST")
    asked = Asked(parts, caller, understood(action.takes, _document(body)), idempotency_key)
    return JsonAnswer(perform(action, asked), action.status)


def understood(takes: type[B], said: dict[str, Any]) -> B:
    """Read what was said. Raises RequestInvalidError, which names each field that is wrong."""
    try:
        return takes.model_validate(said)
    except ValidationError as error:
        raise as_invalid(error.errors()) from None


def _document(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestInvalidError("the body is no JSON", reason=type(error).__name__) from None
    if not isinstance(said, dict):
        raise RequestInvalidError("the body is no JSON object")
    return said


def _action(request: Request, method: str) -> Action[Any]:
    name = request.query_params.get("action", "")
    action = ACTIONS.get(name)
    if action is None or action.method != method:
        known = ", ".join(one.name for one in ACTIONS.values() if one.method == method)
        raise RequestInvalidError(f"{name!r} is no action of {method}", reason=f"the actions are {known}")
    return action
