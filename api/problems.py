"""Errors as problem details (RFC 9457): a stable code, what happened, why, and the next step; never a stack trace or a secret."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from api.answer import to_json
from api.request_record import this_request
from api.wording import for_outside
from holdfast.errors import (
    AccessDeniedError,
    BusyError,
    CatalogMissingError,
    DamagedError,
    HoldfastError,
    KeyMissingError,
    KeyReusedError,
    NotFoundError,
    OutsideRefusedError,
    OverloadedError,
    PlanNotAllowedError,
    RefusedError,
    RequestInvalidError,
    RequestTooLargeError,
    ScopeMissingError,
    SettingsError,
    SourceDeniedError,
    StorageDeniedError,
    TokenInvalidError,
    TooManyFailuresError,
    UnreachableError,
    WrongKeyError,
)

Json = dict[str, Any]

MEDIA_TYPE = "application/problem+json"
UNFORESEEN = "HF-000"
RETRY_AFTER_SECONDS = 5

_STATUS: tuple[tuple[type[HoldfastError], HTTPStatus], ...] = (
    (TokenInvalidError, HTTPStatus.UNAUTHORIZED),
    (ScopeMissingError, HTTPStatus.FORBIDDEN),
    (OutsideRefusedError, HTTPStatus.FORBIDDEN),
    (RequestTooLargeError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (KeyReusedError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (PlanNotAllowedError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (TooManyFailuresError, HTTPStatus.TOO_MANY_REQUESTS),
    (OverloadedError, HTTPStatus.SERVICE_UNAVAILABLE),
    # What the catalog would know may well exist.
    (CatalogMissingError, HTTPStatus.SERVICE_UNAVAILABLE),
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (RefusedError, HTTPStatus.CONFLICT),
    (BusyError, HTTPStatus.CONFLICT),
    (UnreachableError, HTTPStatus.SERVICE_UNAVAILABLE),
    # What is wrong with this host's own settings is no fault of the request.
    (KeyMissingError, HTTPStatus.SERVICE_UNAVAILABLE),
    (WrongKeyError, HTTPStatus.SERVICE_UNAVAILABLE),
    (AccessDeniedError, HTTPStatus.SERVICE_UNAVAILABLE),
    (StorageDeniedError, HTTPStatus.SERVICE_UNAVAILABLE),
    (SourceDeniedError, HTTPStatus.SERVICE_UNAVAILABLE),
    (SettingsError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (DamagedError, HTTPStatus.BAD_GATEWAY),
    (HoldfastError, HTTPStatus.BAD_GATEWAY),
)
"""The first that fits counts."""

_CARRIERS = ("body", "query", "path", "header")
"""What FastAPI names before a field that came in it."""
_log = logging.getLogger("holdfast.api")


class Problem(BaseModel):
    """What went wrong, as RFC 9457 has it; `code`, `nextStep` and `fields` are ours."""

    type: str = Field(description="urn:holdfast:error: and the code")
    title: str = Field(description="What the HTTP status means")
    status: int
    detail: str = Field(description="What happened, to what, and why")
    code: str = Field(description="Stable: once given it never means another error")
    next_step: str | None = Field(None, alias="nextStep", description="What to do now")
    fields: dict[str, str] | None = Field(None, description="What is wrong with a request, field by field")
    request_id: str = Field(alias="requestId", description="Stands in the log beside the same error")


def status_of(error: HoldfastError) -> HTTPStatus:
    """Tell the HTTP status of an error."""
    return next(status for kind, status in _STATUS if isinstance(error, kind))


def problem(error: HoldfastError, status: HTTPStatus | None = None) -> Response:
    """Make the answer to a request that an error has ended; its status where another is not given."""
    status = status or status_of(error)
    fields = getattr(error, "fields", None) or None
    said = {"detail": error.what_and_why, "code": error.code, "nextStep": error.next_step, "fields": fields}
    return _answer(status, said, _headers(error))


def handle_errors(app: FastAPI) -> None:
    """Have every error of the application answered as a problem."""

    @app.exception_handler(HoldfastError)
    async def foreseen(_request: Request, error: HoldfastError) -> Response:
        return problem(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> Response:
        return problem(as_invalid(error.errors()))

    @app.exception_handler(HTTPException)
    async def http(_request: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        code = {404: NotFoundError.code}.get(error.status_code, RequestInvalidError.code)
        said = {"detail": str(error.detail), "code": code}
        if error.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
            said["nextStep"] = "GET /openapi.json lists the routes and what each takes"
        return _answer(status, said, dict(error.headers or {}))


def unforeseen(error: Exception) -> Response:
    """Write an error that nobody foresaw into the log, and make the answer, which says nothing of it but where it is."""
    _log.error("request %s failed in a way that nobody foresaw", this_request().id, exc_info=error)
    said = {"detail": "Something unforeseen went wrong; the log of the API has it under this requestId", "code": UNFORESEEN}
    return _answer(HTTPStatus.INTERNAL_SERVER_ERROR, said, {})


def as_invalid(problems: Any) -> RequestInvalidError:
    """Take what pydantic found, field by field, without the values: one may be a secret in the wrong place."""
    fields = {_field(one["loc"]): str(one["msg"]).removeprefix("Value error, ") for one in problems}
    return RequestInvalidError(
        "the request can't be understood", reason="; ".join(f"{name}: {why}" for name, why in fields.items()), fields=fields
    )


def _field(place: Sequence[str | int]) -> str:
    """Name a field as whoever asked has written it, the same by a REST route as by the guide's path."""
    within = place[1:] if place[:1] and place[0] in _CARRIERS else place
    return ".".join(str(part) for part in within or place) or "body"


def _headers(error: HoldfastError) -> dict[str, str]:
    if isinstance(error, TokenInvalidError):
        return {"WWW-Authenticate": 'Bearer realm="holdfast"'}
    return {"Retry-After": str(getattr(error, "retry_after_seconds", RETRY_AFTER_SECONDS))} if error.retryable else {}


def _answer(status: HTTPStatus, said: Json, headers: dict[str, str]) -> Response:
    filled = {
        "type": f"urn:holdfast:error:{said['code']}",
        "title": status.phrase,
        "status": status,
        "requestId": this_request().id,
    } | _outside(said)
    content = to_json(Problem.model_validate(filled).model_dump(by_alias=True, exclude_none=True))
    return Response(content, status, headers, MEDIA_TYPE)


def _outside(said: Any) -> Any:
    """Word all that is said for outside; names of fields and codes are ours."""
    if isinstance(said, dict):
        return {name: _outside(one) for name, one in said.items()}
    return for_outside(said) if isinstance(said, str) else said
