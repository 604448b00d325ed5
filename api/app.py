"""The HTTP API: the guide's path, REST routes over the same actions, the page, and what machines watch."""

from __future__ import annotations

from fastapi import FastAPI

from api import guide, health
from api.failures import Failures
from api.headers import Headers
from api.limits import Limits
from api.openapi import operation_id
from api.page.site import add_page
from api.parts import Parts
from api.problems import handle_errors
from api.rest import audit, backups, configuration, events, executions, jobs, maintenance, openapi, plans, restores, status
from api.stopping import Stopping
from api.waiting import Waiting


def create_app(parts: Parts | None = None) -> FastAPI:
    """Make the application over these parts, or over what this process's settings name."""
    app = FastAPI(openapi_url=None, redirect_slashes=False, generate_unique_id_function=operation_id)
    app.state.parts = parts or Parts()
    app.state.failures = Failures()
    app.state.stopping = Stopping()
    app.state.waiting = Waiting(app.state.parts, app.state.stopping)
    handle_errors(app)
    app.add_middleware(Limits, stopping=app.state.stopping)
    app.add_middleware(Headers)  # the last one stands before all others
    for one in (
        health,
        guide,
        status,
        jobs,
        backups,
        restores,
        maintenance,
        plans,
        executions,
        configuration,
        events,
        audit,
        openapi,
    ):
        app.include_router(one.router)
    add_page(app)
    return app
