"""What SQLite refuses at once is tried again where it was refused, and nobody waits for seconds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from orchestration import second_tries
from orchestration.second_tries import SecondTries

REFUSAL = "it was locked"


class LockedError(Exception):
    """What the application below can't do yet."""


def answering(*, refusals: int, told: list[str], takes_seconds: float = 0.0, headers: dict[str, str] | None = None) -> ASGIApp:
    """An application that is refused so often, and answers as Prefect's does: in a handler, which lets the error go on."""

    async def work(request: Request) -> Response:
        told.append((await request.body()).decode())
        await asyncio.sleep(takes_seconds)
        if len(told) <= refusals:
            raise LockedError
        return JSONResponse({"tries": len(told)}, status_code=201)

    async def refuse(request: Request, error: Exception) -> Response:
        del request, error
        return JSONResponse({"exception_message": REFUSAL}, status_code=503, headers=headers)

    inner = Starlette(routes=[Route("/", work, methods=["PATCH"])], exception_handlers={Exception: refuse})
    return SecondTries(inner)


def asked(application: ASGIApp, body: str | AsyncIterator[bytes] = "a whole request") -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(application, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return await client.patch("/", content=body)

    return asyncio.run(ask())


def test_a_request_that_is_refused_twice_is_told_whole_three_times_and_answered_once() -> None:
    told: list[str] = []
    answer = asked(answering(refusals=2, told=told))
    assert (answer.status_code, answer.json()) == (201, {"tries": 3})
    assert told == ["a whole request"] * 3


def test_what_is_refused_every_time_is_answered_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_tries, "WAITS_SECONDS", (0.001, 0.001))
    told: list[str] = []
    answer = asked(answering(refusals=99, told=told))
    assert (answer.status_code, answer.json()) == (503, {"exception_message": REFUSAL})
    assert len(told) == 3


def test_what_was_refused_only_after_a_wait_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_tries, "AT_ONCE_SECONDS", 0.01)
    told: list[str] = []
    assert asked(answering(refusals=1, told=told, takes_seconds=0.05)).status_code == 503
    assert len(told) == 1


def test_who_is_told_when_to_come_again_is_told_so() -> None:
    told: list[str] = []
    assert asked(answering(refusals=1, told=told, headers={"Retry-After": "3"})).headers["retry-after"] == "3"
    assert len(told) == 1


def test_what_is_too_large_to_be_held_is_told_whole_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_tries, "HELD_BYTES_MAX", 4)

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"abc"

    told: list[str] = []
    assert asked(answering(refusals=1, told=told), parts()).status_code == 503
    assert told == ["abc" * 5]
