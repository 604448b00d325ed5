"""`/v1/events`: what has happened, so that the recovery plans that listen to it start."""

from __future__ import annotations

from fastapi import APIRouter

from api.access import TheCaller, TheParts
from api.action import Asked, perform
from api.answer import JsonAnswer
from api.handlers import events
from api.idempotency_key import IdempotencyKey

router = APIRouter(prefix="/v1/events", tags=["events"])


@router.post("", response_class=JsonAnswer, status_code=202)
def emit_event(
    said: events.EventRequest, parts: TheParts, caller: TheCaller, idempotency_key: IdempotencyKey = None
) -> JsonAnswer:
    """Emit an event; the answer names the plans that heard it, and their runs."""
    return JsonAnswer(perform(events.EMIT, Asked(parts, caller, said, idempotency_key)), events.EMIT.status)
