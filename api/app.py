"""The HTTP API's addresses: `/metrics` for Prometheus, `/healthz` for whoever keeps it running."""

from __future__ import annotations

from fastapi import FastAPI, Response

from api.latest_look import LatestLook
from holdfast import metrics
from holdfast.settings import load_settings
from orchestration.looking import Look, look


def create_app(latest: LatestLook[Look] | None = None) -> FastAPI:
    """Make the application; it looks at what the settings name, read afresh each time."""
    app = FastAPI(title="Holdfast", docs_url=None, redoc_url=None)
    looks = latest or LatestLook(lambda: look(load_settings()))

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """Say that this process answers. It says nothing of the backups: that is what /metrics is for."""
        return {"status": "ok"}

    @app.get("/metrics", response_class=Response)
    def prometheus() -> Response:
        """Tell how things stand as metrics, of at most some seconds ago, or of the last look there was, which it then says."""
        found, late = looks.get()
        if found is None:
            text = metrics.nothing_seen(load_settings().target)
        else:
            text = metrics.exposition(found.overview, found.judgement, late=late)
        return Response(text, media_type=metrics.CONTENT_TYPE)

    return app
