"""How a page is made: templates that escape whatever they are given, and answers that no other site may frame or script."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from jinja2 import ChainableUndefined, Environment, FileSystemLoader, Undefined
from starlette.exceptions import HTTPException

from api.page.person import LoggedOutError, Person
from api.page.sessions import COOKIE, LONGEST_SECONDS, Session
from api.problems import as_invalid, status_of
from api.request_record import this_request
from holdfast import figures
from holdfast.errors import HoldfastError, RequestInvalidError

_log = logging.getLogger("holdfast.api")
_HERE = Path(__file__).parent
STATIC = _HERE / "static"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def when(value: Any) -> datetime | None:
    """Read a time of a document, which may be a text."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def database_in(address: object) -> str:
    """Name the database of an address; nothing where it has none."""
    return unquote(urlsplit(str(address or "")).path.rsplit("/", 1)[-1])


def _environment() -> Environment:
    """Make what renders. What a document lacks is shown as not known: half a page helps at night, an error does not."""
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.tests["none"] = lambda value: value is None or isinstance(value, Undefined)
    filters: dict[str, Callable[..., Any]] = {
        "size": figures.size,
        "minute": _minute,
        "iso": lambda value: str(value) if (at := when(value)) is None else at.isoformat(),
        "age": lambda value: figures.age(when(value)),
        "until": lambda value: figures.until(when(value), now=datetime.now(UTC)),
        "span": lambda seconds: figures.span(None if seconds is None else timedelta(seconds=seconds)),
        "duration": figures.duration,
        "count": figures.count,
        "query": _query,
        "segment": lambda text: quote(str(text), safe=""),
        "took": _took,
        "database": database_in,
        "identifier": lambda name: '"' + str(name).replace('"', '""') + '"',
    }
    made.filters |= {name: _of_known(shown) for name, shown in filters.items()}
    made.globals["new_key"] = lambda: secrets.token_urlsafe(16)
    return made


def _query(values: dict[str, Any] | None) -> str:
    return urlencode({name: value for name, value in (values or {}).items() if value not in (None, "")})


def _of_known(shown: Callable[..., Any]) -> Callable[..., Any]:
    return lambda value, *more: shown(None if isinstance(value, Undefined) else value, *more)


def _minute(value: Any) -> str:
    at = when(value)
    return "–" if at is None else figures.minute_utc(at)


def _took(job: dict[str, Any] | None) -> str | None:
    job = job or {}
    began, ended = when(job.get("startedAt")), when(job.get("completedAt"))
    return figures.duration((ended - began).total_seconds()) if began and ended else None


_templates = _environment()


def page(request: Request, person: Person | None, template: str, http_status: int = 200, **shown: Any) -> Response:
    """Render a template for this person."""
    text = _templates.get_template(template).render(
        base=request.scope.get("root_path", "").rstrip("/"),
        here=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
        person=person,
        csrf=person.session.csrf if person else "",
        now=datetime.now(UTC),
        **shown,
    )
    return HTMLResponse(text, http_status, HEADERS)


def go_to(request: Request, path: str, **query: Any) -> Response:
    """Have the browser look at another page of ours."""
    said = _query(query)
    address = request.scope.get("root_path", "").rstrip("/") + path + (f"?{said}" if said else "")
    if "HX-Request" in request.headers:
        return Response(headers={**HEADERS, "HX-Redirect": address})
    return RedirectResponse(address, 303, HEADERS)


class PageRoute(APIRoute):
    """A route of the page: its errors are pages, and whoever has to log in is sent to where that is done."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the handler."""
        handle = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                answer = await handle(request)
            except LoggedOutError:
                answer = _to_login(request)
            except RequestValidationError as error:
                answer = _error_page(request, as_invalid(error.errors()))
            except HTTPException as error:
                answer = _error_page(request, _no_form(error), error.status_code)
            except HoldfastError as error:
                answer = _error_page(request, error)
            except Exception as error:  # noqa: BLE001  a person is told in words, whatever it is
                answer = _unforeseen(request, error)
            begun: Session | None = getattr(request.state, "begun", None)
            if begun is not None:
                keep(request, answer, begun)
            return answer

        return answered


def keep(request: Request, answer: Response, session: Session) -> None:
    """Have the browser keep a session's id, where no script of any page can read it."""
    answer.set_cookie(
        COOKIE,
        session.id,
        max_age=int(LONGEST_SECONDS),
        path=request.scope.get("root_path", "").rstrip("/") or "/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


def forget(request: Request, answer: Response) -> None:
    """Have the browser forget it."""
    answer.delete_cookie(COOKIE, path=request.scope.get("root_path", "").rstrip("/") or "/")


def _to_login(request: Request) -> Response:
    root = request.scope.get("root_path", "").rstrip("/")
    path = request.url.path.removeprefix(root)
    looks = request.method == "GET" and path not in ("/", "/login")
    return go_to(request, "/login", next=f"{path}?{request.url.query}".rstrip("?") if looks else "")


def _no_form(error: HTTPException) -> HoldfastError:
    """Anybody may send what is no form, to the one for a token: it is no fault of ours, and worth no traceback in the log."""
    return RequestInvalidError("the form can't be understood", reason=error.detail, next_step="Send it from the page itself")


def _unforeseen(request: Request, error: Exception) -> Response:
    request_id = this_request().id
    _log.error("request %s failed in a way that nobody foresaw", request_id, exc_info=error)
    return _error_page(
        request,
        HoldfastError(
            "something unforeseen went wrong",
            reason=f"the log of the API has it, under {request_id}",
            next_step="The other pages may work all the same, and so does 'holdfast status' on the host",
        ),
        500,
    )


def _error_page(request: Request, error: HoldfastError, http_status: int | None = None) -> Response:
    return page(request, None, "error.html", http_status or status_of(error), error=error)
