"""`/v1/status` and `/v1/test`: how things stand, and whether everything can be used."""

from __future__ import annotations

from fastapi import APIRouter

from api.access import TheCaller, TheParts
from api.action import Asked, Nothing, perform
from api.answer import JsonAnswer
from api.handlers import status, testing

router = APIRouter(prefix="/v1", tags=["status"])


@router.get("/status", response_class=JsonAnswer)
def show_status(parts: TheParts, caller: TheCaller) -> JsonAnswer:
    """Tell how things stand, by a look of at most some seconds ago; `late` says that a fresher one did not come in time."""
    return JsonAnswer(perform(status.STATUS, Asked(parts, caller, Nothing())))


@router.get("/test", response_class=JsonAnswer)
def self_test(parts: TheParts, caller: TheCaller) -> JsonAnswer:
    """Try out everything that backups need; nothing is changed. It takes some seconds."""
    return JsonAnswer(perform(testing.TEST, Asked(parts, caller, Nothing())))
