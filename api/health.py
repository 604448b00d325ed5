"""What machines watch: `/metrics` for Prometheus, `/healthz` and `/readyz` for whoever keeps the process running.

The last two are open to everybody, so they name parts and nothing of them.
"""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.access import TheCaller, TheParts
from api.parts import Parts
from holdfast import metrics
from holdfast.errors import HoldfastError, UnreachableError

router = APIRouter(tags=["health"])


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """Say that this process answers. It says nothing of the backups: that is what /metrics is for."""
    return {"status": "ok"}


@router.get("/readyz")
def readyz(parts: TheParts) -> dict[str, str]:
    """Say that settings and tokens can be read, and storage or catalog can be used; or name what can't be."""
    missing = _settings_and_tokens(parts) or _storage_or_catalog(parts)
    if missing:
        raise UnreachableError("not ready", reason=f"what can't be used now: {', '.join(missing)}")
    return {"status": "ready"}


@router.get("/metrics", response_class=Response)
def prometheus(parts: TheParts, caller: TheCaller) -> Response:
    """Tell how things stand as metrics, of at most some seconds ago, or of the last look there was, which it then says."""
    caller.require("read")
    found, late = parts.looks.get()
    told = metrics.exposition(found.overview, found.judgement, late=late) if found else metrics.nothing_seen(parts.target)
    return Response(told, media_type=metrics.CONTENT_TYPE)


def _settings_and_tokens(parts: Parts) -> list[str]:
    try:
        tokens = parts.tokens  # by the settings of this host, for those that the catalog keeps may take long to come
    except HoldfastError:
        return ["settings"]
    try:
        tokens.all()
    except HoldfastError:
        return ["tokens"]
    return []


def _storage_or_catalog(parts: Parts) -> list[str]:
    """Name both where neither could be used at the latest look; one of them is enough to answer by."""
    found, _ = parts.looks.get()
    usable = found is not None and (found.overview.seen or found.overview.recorded)
    return [] if usable else ["storage", "catalog"]
