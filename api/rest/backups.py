"""`/v1/backups`: backups, made now, listed and shown."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api.access import TheCaller, TheParts
from api.action import Asked, perform
from api.answer import JsonAnswer
from api.guide import understood
from api.handlers import backups
from api.idempotency_key import IdempotencyKey

router = APIRouter(prefix="/v1/backups", tags=["backups"])


@router.get("", response_class=JsonAnswer)
def list_backups(parts: TheParts, caller: TheCaller, said: Annotated[backups.BackupsWanted, Query()]) -> JsonAnswer:
    """List backups, the newest first, those that failed too."""
    return JsonAnswer(perform(backups.BACKUPS, Asked(parts, caller, said)))


@router.post("", response_class=JsonAnswer, status_code=202)
def back_up(
    said: backups.BackupRequest, parts: TheParts, caller: TheCaller, idempotency_key: IdempotencyKey = None
) -> JsonAnswer:
    """Make a backup now, of one type or of all that are on."""
    return JsonAnswer(perform(backups.BACK_UP, Asked(parts, caller, said, idempotency_key)), backups.BACK_UP.status)


@router.get("/{job_id}", response_class=JsonAnswer)
def show_backup(job_id: str, parts: TheParts, caller: TheCaller) -> JsonAnswer:
    """Show one backup in full: what is in it, and how it was proven."""
    said = understood(backups.BackupNamed, {"jobId": job_id})
    return JsonAnswer(perform(backups.BACKUP, Asked(parts, caller, said)))
