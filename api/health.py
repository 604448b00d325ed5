"""What machines watch: `/metrics` for Prometheus, `/healthz` for whoever keeps the process running."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.access import TheParts
from holdfast import metrics

router = APIRouter(tags=["health"])


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """Say that this process answers. It says nothing of the backups: that is what /metrics is for."""
    return {"status": "ok"}


@router.get("/metrics", response_class=Response)
def prometheus(parts: TheParts) -> Response:
    """Tell how things stand as metrics, of at most some seconds ago, or of the last look there was, which it then says."""
    found, late = parts.looks.get()
    if found is None:
        text = metrics.nothing_seen(parts.settings.target)
    else:
        text = metrics.exposition(found.overview, found.judgement, late=late)
    return Response(text, media_type=metrics.CONTENT_TYPE)
