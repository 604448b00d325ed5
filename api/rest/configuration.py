"""`/v1/init` and `/v1/configuration`: what is set up, and how."""

from __future__ import annotations

from fastapi import APIRouter

from api.access import TheCaller, TheParts
from api.action import Asked, Nothing, perform
from api.answer import JsonAnswer
from api.handlers import configuration, init
from api.idempotency_key import IdempotencyKey

router = APIRouter(prefix="/v1", tags=["configuration"])


@router.post("/init", response_class=JsonAnswer)
def initialize(
    parts: TheParts, caller: TheCaller, said: init.InitRequest | None = None, idempotency_key: IdempotencyKey = None
) -> JsonAnswer:
    """Make the repository, the catalog, the default recovery plans and the Prefect blocks, where they are not there yet."""
    return JsonAnswer(perform(init.INIT, Asked(parts, caller, said or init.InitRequest(), idempotency_key)))


@router.get("/configuration", response_class=JsonAnswer)
def show_configuration(parts: TheParts, caller: TheCaller) -> JsonAnswer:
    """Show every setting as it is in force; secrets are masked."""
    return JsonAnswer(perform(configuration.CONFIGURATION, Asked(parts, caller, Nothing())))


@router.patch("/configuration", response_class=JsonAnswer)
def update_configuration(
    said: configuration.Updates, parts: TheParts, caller: TheCaller, idempotency_key: IdempotencyKey = None
) -> JsonAnswer:
    """Change settings, and keep them in the catalog. Live schedules follow at once."""
    return JsonAnswer(perform(configuration.UPDATE, Asked(parts, caller, said, idempotency_key)))
