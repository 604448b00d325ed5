"""The page as a part of the application: its routes, and the files that it is dressed in."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.responses import Response
from starlette.types import Scope

from api.page import backups, executions, jobs, login, overview, plans, restoring
from api.page.sessions import Sessions
from api.page.showing import STATIC

_ROUTERS = tuple(one.router for one in (login, overview, jobs, backups, restoring, plans, executions))


class _Files(StaticFiles):
    """Files that a browser asks for again only when they have changed."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        answer = await super().get_response(path, scope)
        answer.headers.setdefault("Cache-Control", "no-cache")
        return answer


def add_page(app: FastAPI) -> None:
    """Have the application answer at `/`, too."""
    app.state.sessions = Sessions()
    app.mount("/static", _Files(directory=STATIC), name="static")
    for one in _ROUTERS:
        app.include_router(one)
