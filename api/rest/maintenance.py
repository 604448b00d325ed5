"""`/v1/verifications`, `/v1/drills`, `/v1/cleanups`, `/v1/replications`: what keeps backups good, started now."""

from __future__ import annotations

from fastapi import APIRouter

from api.access import TheCaller, TheParts
from api.action import Asked, perform
from api.answer import JsonAnswer
from api.handlers import maintenance
from api.idempotency_key import IdempotencyKey

router = APIRouter(prefix="/v1", tags=["maintenance"])


@router.post("/verifications", response_class=JsonAnswer, status_code=202)
def verify(
    parts: TheParts,
    caller: TheCaller,
    said: maintenance.VerificationRequest,
    idempotency_key: IdempotencyKey = None,
) -> JsonAnswer:
    """Prove a backup, as far as wanted."""
    return JsonAnswer(perform(maintenance.VERIFY, Asked(parts, caller, said, idempotency_key)), 202)


@router.post("/drills", response_class=JsonAnswer, status_code=202)
def drill(
    parts: TheParts, caller: TheCaller, said: maintenance.DrillRequest, idempotency_key: IdempotencyKey = None
) -> JsonAnswer:
    """Bring the newest backups back into scratch, and measure how long that takes."""
    return JsonAnswer(perform(maintenance.DRILL, Asked(parts, caller, said, idempotency_key)), 202)


@router.post("/cleanups", response_class=JsonAnswer, status_code=202)
def clean_up(
    parts: TheParts, caller: TheCaller, said: maintenance.CleanupRequest, idempotency_key: IdempotencyKey = None
) -> JsonAnswer:
    """Forget and delete what the rules of retention let go, or only say what that would be."""
    return JsonAnswer(perform(maintenance.CLEAN_UP, Asked(parts, caller, said, idempotency_key)), 202)


@router.post("/replications", response_class=JsonAnswer, status_code=202)
def replicate(
    parts: TheParts, caller: TheCaller, said: maintenance.ReplicationRequest, idempotency_key: IdempotencyKey = None
) -> JsonAnswer:
    """Bring replicas up to date."""
    return JsonAnswer(perform(maintenance.REPLICATE, Asked(parts, caller, said, idempotency_key)), 202)
