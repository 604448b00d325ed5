"""`/openapi.json`: what the API can do, for whoever may ask it anything."""

from __future__ import annotations

from fastapi import APIRouter, Request

from api.access import TheCaller, TheParts
from api.answer import JsonAnswer
from api.openapi import describe

router = APIRouter()


@router.get("/openapi.json", response_class=JsonAnswer, include_in_schema=False)
def show_openapi(request: Request, parts: TheParts, caller: TheCaller) -> JsonAnswer:
    """Show the OpenAPI document."""
    del caller  # whichever scope a token has, it may know what there is
    return JsonAnswer(describe(request.app, parts.settings.api_root_path))
