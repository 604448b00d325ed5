"""Being logged in at the page ends when it should, and a cookie alone changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from api.app import create_app
from api.page.sessions import COOKIE, HEADER, IDLE_SECONDS, LONGEST_SECONDS, Sessions, caller_of_session
from api.parts import Parts
from holdfast.tokens import Tokens
from tests.standing import settings_in


class Clock:
    """A clock that stands until it is told to go on."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def request_of(app: Any, session_id: str, method: str = "GET", csrf: str | None = None) -> Request:
    headers = [(b"cookie", f"{COOKIE}={session_id}".encode())]
    if csrf is not None:
        headers.append((HEADER.lower().encode(), csrf.encode()))
    return Request({"type": "http", "method": method, "headers": headers, "app": app, "client": ("127.0.0.1", 1), "path": "/"})


def test_a_session_that_nobody_uses_ends_and_one_in_use_ends_after_half_a_day() -> None:
    clock = Clock()
    sessions = Sessions(clock=clock)
    idle, used = sessions.begin("a"), sessions.begin("b")
    for _ in range(int(LONGEST_SECONDS / (IDLE_SECONDS - 1))):
        clock.now += IDLE_SECONDS - 1
        assert sessions.get(used.id) is used
    assert sessions.get(idle.id) is None
    clock.now = LONGEST_SECONDS + 1
    assert sessions.get(used.id) is None


def test_of_too_many_sessions_the_one_used_least_recently_goes() -> None:
    clock = Clock()
    sessions = Sessions(most=2, clock=clock)
    first = sessions.begin("a")
    clock.now = 1
    second = sessions.begin("b")
    clock.now = 2
    sessions.get(first.id)
    third = sessions.begin("c")
    assert sessions.get(second.id) is None
    assert sessions.get(first.id) is first
    assert sessions.get(third.id) is third


def test_the_cookie_alone_looks_and_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path, monkeypatch)
    tokens = Tokens.of(settings)
    found = tokens.find(tokens.create("night", ["read"]))
    assert found is not None
    app = create_app(Parts(lambda: settings))
    session = app.state.sessions.begin(found.digest)
    caller = caller_of_session(request_of(app, session.id))
    assert caller is not None
    assert (caller.name, caller.scopes, caller.via) == ("night", {"read"}, "page")
    assert caller_of_session(request_of(app, session.id, "POST")) is None
    assert caller_of_session(request_of(app, session.id, "POST", "another word")) is None
    assert caller_of_session(request_of(app, session.id, "POST", session.csrf)) is not None


def test_a_token_that_is_revoked_or_has_expired_ends_its_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path, monkeypatch)
    tokens = Tokens.of(settings)
    soon = datetime.now(UTC) + timedelta(milliseconds=300)
    found = [tokens.find(tokens.create("one", ["read"])), tokens.find(tokens.create("two", ["read"], soon))]
    app = create_app(Parts(lambda: settings))
    revoked, expired = [app.state.sessions.begin(one.digest) for one in found if one is not None]
    assert caller_of_session(request_of(app, revoked.id)) is not None
    tokens.revoke("one")
    assert caller_of_session(request_of(app, revoked.id)) is None
    while datetime.now(UTC) <= soon:
        pass
    assert caller_of_session(request_of(app, expired.id)) is None
    assert caller_of_session(request_of(app, "made up")) is None
