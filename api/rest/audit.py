"""`/v1/audit`: the audit log, and its proof."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api.access import TheCaller, TheParts
from api.action import Asked, Nothing, perform
from api.answer import JsonAnswer
from api.handlers import audit

router = APIRouter(prefix="/v1/audit", tags=["audit"])

Wanted = Annotated[audit.LinesWanted, Query()]


@router.get("", response_class=JsonAnswer)
def list_lines(parts: TheParts, caller: TheCaller, said: Wanted) -> JsonAnswer:
    """List what was done, by whom and with what outcome, the newest first."""
    return JsonAnswer(perform(audit.LINES, Asked(parts, caller, said)))


@router.get("/verification", response_class=JsonAnswer)
def verify(parts: TheParts, caller: TheCaller) -> JsonAnswer:
    """Prove that no line was changed, in the catalog and in the repository."""
    return JsonAnswer(perform(audit.VERIFICATION, Asked(parts, caller, Nothing())))
