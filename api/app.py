"""The HTTP API: the guide's path, REST routes over the same actions, the page, and what machines watch."""

from __future__ import annotations

from fastapi import FastAPI

from api import guide, health
from api.page.sessions import Sessions
from api.parts import Parts
from api.problems import handle_errors
from api.rest import plans, status


def create_app(parts: Parts | None = None) -> FastAPI:
    """Make the application over these parts, or over what this process's settings name."""
    app = FastAPI(title="Holdfast", docs_url=None, redoc_url=None)
    app.state.parts = parts or Parts()
    app.state.sessions = Sessions()
    handle_errors(app)
    for one in (health.router, guide.router, plans.router, status.router):
        app.include_router(one)
    return app
