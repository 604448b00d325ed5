"""Who may ask: with tokens whoever shows one that is valid; without them this machine alone, and no web page."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request

from api.failures import MOST
from api.this_machine import require_this_machine
from holdfast.errors import OutsideRefusedError
from holdfast.settings import Settings
from holdfast.tokens import Tokens
from tests.api.running import Running, running
from tests.standing import settings_in

PLANS = "/functions/v1/backup?action=plans"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return settings_in(tmp_path, monkeypatch)


@pytest.fixture
def api(settings: Settings) -> Iterator[Running]:
    with running(settings) as one:
        yield one


@pytest.fixture(scope="module")
def without_token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One for the tests that make no token."""
    with pytest.MonkeyPatch.context() as patch:
        settings = settings_in(tmp_path_factory.mktemp("access"), patch)
    with running(settings) as one:
        yield one


def without_id(answer: Any) -> dict[str, Any]:
    return {name: value for name, value in answer.json().items() if name != "requestId"}


def test_why_a_token_is_refused_is_never_said(api: Running, settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    tokens = Tokens.of(settings)
    valid = tokens.create("ops", ["read"])
    expired = tokens.create("old", ["read"], datetime.now(UTC) - timedelta(seconds=1))
    revoked = tokens.create("gone", ["read"])
    tokens.revoke("gone")
    client = api.client()
    shown = [
        None,
        "",
        "Bearer",
        f"Bearer {expired}",
        f"Bearer {revoked}",
        f"Bearer {valid}x",
        f"Basic {valid}",
        "Bearer hf_wrong",
    ]
    refused = [client.get(PLANS, headers={"Authorization": one} if one is not None else {}) for one in shown]
    assert {answer.status_code for answer in refused} == {401}
    assert all(answer.headers["WWW-Authenticate"].startswith("Bearer") for answer in refused)
    assert [without_id(answer) for answer in refused] == [without_id(refused[0])] * len(refused)
    assert refused[0].json()["code"] == "HF-209"
    assert client.get(PLANS, headers={"Authorization": f"bearer  {valid}"}).status_code == 200
    told = [record.getMessage() for record in caplog.records if record.name == "holdfast.api"]
    assert told == ["127.0.0.1: requests without a valid token, 1 within a minute"]
    assert not any(token in caplog.text for token in (valid, expired, revoked))


def test_of_two_tokens_in_one_request_none_counts(api: Running, settings: Settings) -> None:
    valid = Tokens.of(settings).create("ops", ["read"])
    for second in (f"Bearer {valid}", "Bearer hf_wrong"):
        answer = api.client().get(PLANS, headers=[("Authorization", f"Bearer {valid}"), ("Authorization", second)])
        assert answer.status_code == 401


def test_who_fails_too_often_waits_and_a_valid_token_never_does(api: Running, settings: Settings) -> None:
    valid = Tokens.of(settings).create("ops", ["read"])
    client = api.client("hf_wrong")
    statuses = [client.get(PLANS).status_code for _ in range(MOST + 1)]
    assert statuses == [401] * MOST + [429]
    waiting = client.get(PLANS)
    assert waiting.json()["code"] == "HF-602"
    assert 0 < int(waiting.headers["Retry-After"]) <= 60
    assert api.client(valid).get(PLANS).status_code == 200


def test_a_token_allows_what_it_says_and_nothing_else(api: Running, settings: Settings) -> None:
    token = Tokens.of(settings).create("ops", ["backup", "restore", "admin"])
    answer = api.client(token).get(PLANS)
    assert answer.status_code == 403
    assert answer.json()["code"] == "HF-413"
    assert "read" in answer.json()["detail"]


@pytest.mark.parametrize("harm", ["damaged", "writable by others", "gone"])
def test_tokens_that_cannot_be_read_close_the_api(
    api: Running, settings: Settings, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = Tokens.of(settings)
    client = api.client(tokens.create("ops", ["read"]))
    assert client.get(PLANS).status_code == 200
    match harm:
        case "damaged":
            tokens.path.write_text("{")
        case "writable by others":
            tokens.path.chmod(0o666)
        case _:
            tokens.path.unlink()
    for answer in (client.get(PLANS), api.client().get(PLANS)):
        assert answer.status_code == 503
        assert answer.json()["code"] == "HF-706"
        assert str(tokens.path.parent) not in answer.text
    assert str(tokens.path) in caplog.text  # the operator finds it in the log
    assert client.get("/healthz").status_code == 200


def test_without_a_token_this_machine_may_ask_and_a_first_token_ends_that(api: Running, settings: Settings) -> None:
    client = api.client()
    assert client.get(PLANS).status_code == 200
    Tokens.of(settings).create("ops", ["read"])
    assert client.get(PLANS).status_code == 401
    Tokens.of(settings).revoke("ops")
    assert client.get(PLANS).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "backup.attacker.example"},
        {"Host": "127.0.0.1.attacker.example"},
        {"Host": "["},
        {"X-Forwarded-For": "203.0.113.9"},
        {"X-Forwarded-Host": "backup.example.com"},
        {"Forwarded": "for=203.0.113.9"},
        {"Via": "1.1 proxy"},
        {"Origin": "https://attacker.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    ],
    ids=lambda headers: " ".join(f"{name}:{value}" for name, value in headers.items()),
)
def test_without_a_token_no_web_page_and_no_proxy_brings_others_in(without_token: Running, headers: dict[str, str]) -> None:
    for method in ("GET", "POST"):
        answer = without_token.client().request(method, PLANS, headers=headers)
        assert answer.status_code == 403, answer.text
        assert answer.json()["code"] == "HF-414"


def test_a_link_to_us_may_be_followed_and_our_own_page_may_ask(without_token: Running) -> None:
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    own = {"Origin": without_token.url, "Sec-Fetch-Site": "same-origin"}
    named = {"Host": f"localhost:{without_token.address[1]}"}
    assert [without_token.client().get(PLANS, headers=one).status_code for one in (followed, own, named)] == [200] * 3


def test_a_proxy_that_tells_nothing_of_itself_is_known_by_its_http(without_token: Running) -> None:
    said = without_token.said(f"GET {PLANS} HTTP/1.0\r\nHost: 127.0.0.1:{without_token.address[1]}\r\n\r\n".encode())
    assert said.startswith(b"HTTP/1.1 403")
    assert b"HF-414" in said


@pytest.mark.parametrize("address", ["10.0.0.9", "::ffff:10.0.0.9", "2001:db8::1", "unknown"])
def test_without_a_token_another_machine_is_refused(address: str) -> None:
    headers = [(b"host", b"localhost")]
    scope = {"type": "http", "client": (address, 1), "headers": headers, "http_version": "1.1", "method": "GET", "scheme": "http"}
    with pytest.raises(OutsideRefusedError, match="comes from another one"):
        require_this_machine(Request(scope))
    require_this_machine(Request(scope | {"client": ("::ffff:127.0.0.1", 1)}))


def test_each_request_is_in_the_log_with_who_asked_and_without_what(
    api: Running, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "holdfast.api.requests")
    token = Tokens.of(settings).create("ops", ["read"])
    answer = api.client(token).get(f"{PLANS}&password=canary-in-a-query")
    api.client().get("/a%0Ab%1B[31mc")
    api.end()  # a line is written when its answer has been
    lines = [record.getMessage() for record in caplog.records if record.name == "holdfast.api.requests"]
    assert lines[0].startswith("GET /functions/v1/backup?action=plans 422 ")
    assert lines[0].endswith(f"ops at 127.0.0.1, {answer.headers['Request-Id']}")
    assert answer.json()["requestId"] == answer.headers["Request-Id"]
    assert lines[1].startswith("GET /a?b?[31mc 404 ")
    assert "canary" not in caplog.text
