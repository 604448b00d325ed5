"""`/v1/restores`: what was brought back, and bringing a backup back."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api.access import TheCaller, TheParts
from api.action import Asked, perform
from api.answer import JsonAnswer
from api.guide import understood
from api.handlers import restores
from api.handlers.backups import BackupsWanted
from api.idempotency_key import IdempotencyKey

router = APIRouter(prefix="/v1/restores", tags=["restores"])


@router.get("", response_class=JsonAnswer)
def list_restores(parts: TheParts, caller: TheCaller, said: Annotated[BackupsWanted, Query()]) -> JsonAnswer:
    """List restores, the newest first."""
    return JsonAnswer(perform(restores.RESTORES, Asked(parts, caller, said)))


@router.post("", response_class=JsonAnswer, status_code=202)
def restore(
    said: restores.RestoreRequest, parts: TheParts, caller: TheCaller, idempotency_key: IdempotencyKey = None
) -> JsonAnswer:
    """Bring a backup back. Unless the request names what is live, it lands beside it."""
    return JsonAnswer(perform(restores.RESTORE, Asked(parts, caller, said, idempotency_key)), restores.RESTORE.status)


@router.get("/{job_id}", response_class=JsonAnswer)
def show_restore(job_id: str, parts: TheParts, caller: TheCaller) -> JsonAnswer:
    """Show one restore as it is now."""
    said = understood(restores.RestoreNamed, {"jobId": job_id})
    return JsonAnswer(perform(restores.RESTORED, Asked(parts, caller, said)))
