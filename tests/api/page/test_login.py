"""Whoever looks at the page has logged in with a token, what they send comes from the page, and no other site can use them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from api.page.sessions import Session
from api.page.showing import keep
from api.parts import Parts
from holdfast.tokens import Scope, Tokens
from tests.api.answering import answering
from tests.standing import settings_in, some_backups


@pytest.fixture(scope="module")
def tokens_and_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Tokens, httpx.Client]]:
    """The page of a small repository, whose catalog and Prefect server are down."""
    with pytest.MonkeyPatch.context() as patch:
        settings = settings_in(tmp_path_factory.mktemp("page"), patch)
        some_backups(settings)
        tokens = Tokens.of(settings)
        tokens.create("first", ["read"])
        with answering(Parts(lambda: settings)) as client:
            yield tokens, client


@pytest.fixture
def tokens(tokens_and_client: tuple[Tokens, httpx.Client]) -> Tokens:
    return tokens_and_client[0]


@pytest.fixture
def client(tokens_and_client: tuple[Tokens, httpx.Client]) -> Iterator[httpx.Client]:
    """A browser of its own, so to speak."""
    yield tokens_and_client[1]
    tokens_and_client[1].cookies.clear()


def logged_in(tokens: Tokens, client: httpx.Client, name: str, *scopes: Scope, path: str = "/") -> httpx.Response:
    token = tokens.create(name, scopes)
    answer = client.post("/login", data={"token": token, "next": path})
    assert answer.status_code == 303, answer.text
    return answer


def csrf_on(page: httpx.Response) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]


def test_without_a_session_every_page_asks_for_a_token_and_then_goes_on(tokens: Tokens, client: httpx.Client) -> None:
    asked = client.get("/plans/database_failure?x=1")
    assert (asked.status_code, asked.headers["location"]) == (303, "/login?next=%2Fplans%2Fdatabase_failure%3Fx%3D1")
    shown = client.get(asked.headers["location"])
    assert 'value="/plans/database_failure?x=1"' in shown.text
    answer = logged_in(tokens, client, "goes-on", "read", path="/plans/database_failure?x=1")
    assert answer.headers["location"] == "/plans/database_failure?x=1"
    assert "Database Failure Recovery" in client.get(answer.headers["location"]).text


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"--x"),
        ("multipart/form-data; boundary=x", b"--x\r\n" * 1000),
        ("application/x-www-form-urlencoded", b"a=&" * 2000),
    ],
    ids=["no boundary", "nothing but boundaries", "two thousand fields"],
)
def test_what_is_no_form_is_told_so_and_leaves_no_traceback(
    tokens: Tokens, client: httpx.Client, caplog: pytest.LogCaptureFixture, kind: str, body: bytes
) -> None:
    answer = client.post("/login", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 400
    assert "can&#39;t be understood" in answer.text
    assert not [record for record in caplog.records if record.exc_info]


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(tokens: Tokens, client: httpx.Client) -> None:
    cookie = logged_in(tokens, client, "cookie", "read").headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "secure" not in cookie  # this is plain HTTP


def test_by_tls_the_cookie_is_sent_by_tls_alone_and_to_the_path_of_the_page() -> None:
    scope = {"type": "http", "scheme": "https", "path": "/login", "root_path": "/backup", "headers": [], "query_string": b""}
    answer = Response()
    keep(Request(scope | {"server": ("backup.example", 443)}), answer, Session("an id", "a word", "digest", 0, 0))
    cookie = answer.headers["set-cookie"]
    assert "; Secure" in cookie
    assert "Path=/backup;" in cookie


def test_logging_in_leads_to_no_other_site(tokens: Tokens, client: httpx.Client) -> None:
    token = tokens.create("led-away", ["read"])
    for address in ("https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example", "javascript:alert(1)"):
        assert client.post("/login", data={"token": token, "next": address}).headers["location"] == "/"


def test_a_wrong_token_is_refused_in_words_and_counts_as_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path, monkeypatch)
    tokens = Tokens.of(settings)
    tokens.create("first", ["read"])
    with answering(Parts(lambda: settings)) as client:
        wrong = client.post("/login", data={"token": "hf_made_up"})
        tried = [client.post("/login", data={"token": f"hf_{number}"}).status_code for number in range(30)]
        logged_in(tokens, client, "valid-all-the-same", "read")
    assert wrong.status_code == 401
    assert "This is no token that is valid now." in wrong.text
    assert "hf_made_up" not in wrong.text
    assert "set-cookie" not in wrong.headers
    assert tried[-1] == 429


@pytest.mark.parametrize(
    ("name", "said"), [("Sec-Fetch-Site", "cross-site"), ("Origin", "https://attacker.example"), ("Origin", "null")]
)
def test_logging_in_from_another_site_is_refused(tokens: Tokens, client: httpx.Client, name: str, said: str) -> None:
    token = tokens.create(f"of-an-attacker-{name}-{said[:5].strip(':')}", ["read"])
    answer = client.post("/login", data={"token": token}, headers={name: said})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_logging_out_ends_the_session_for_good(tokens: Tokens, client: httpx.Client) -> None:
    logged_in(tokens, client, "leaves", "read")
    kept = dict(client.cookies)
    shown = client.get("/")
    assert shown.status_code == 200
    assert client.post("/logout", data={"csrf": csrf_on(shown)}).status_code == 303
    client.cookies.update(kept)
    assert client.get("/").headers["location"] == "/login"


def test_a_revoked_token_ends_its_session_at_once_also_for_what_polls(tokens: Tokens, client: httpx.Client) -> None:
    logged_in(tokens, client, "revoked", "read")
    assert client.get("/").status_code == 200
    tokens.revoke("revoked")
    polled = client.get("/", headers={"HX-Request": "true"})
    assert (polled.status_code, polled.headers["hx-redirect"]) == (200, "/login")


def test_a_form_that_does_not_come_from_the_page_does_nothing(tokens: Tokens, client: httpx.Client) -> None:
    logged_in(tokens, client, "forged", "read", "restore")
    for said in ({"mode": "drill"}, {"mode": "drill", "csrf": "guessed"}):
        answer = client.post("/plans/database_failure/executions", data=said)
        assert answer.status_code == 403
        assert "Nothing was done" in answer.text
    own = csrf_on(client.get("/"))
    from_elsewhere = client.post(
        "/plans/database_failure/executions", data={"mode": "drill", "csrf": own}, headers={"Sec-Fetch-Site": "same-site"}
    )
    assert from_elsewhere.status_code == 403


def test_the_session_is_good_for_the_api_and_changes_nothing_there_without_its_word(tokens: Tokens, client: httpx.Client) -> None:
    logged_in(tokens, client, "both", "read", "admin")
    csrf = csrf_on(client.get("/"))
    assert client.get("/v1/plans").status_code == 200
    assert client.post("/v1/plans", json={"plan": {}}).status_code == 401
    assert client.post("/v1/plans", json={"plan": {}}, headers={"X-Holdfast-Csrf": csrf}).status_code == 422


def test_what_a_token_does_not_allow_is_said_and_not_offered(tokens: Tokens, client: httpx.Client) -> None:
    logged_in(tokens, client, "only-looks", "read")
    plan = client.get("/plans/database_failure").text
    assert "Your token has not the scope <code>restore</code>" in plan
    assert "<button>Run" not in plan
    assert 'value="drill"' not in plan
    own = csrf_on(client.get("/"))
    answer = client.post("/plans/database_failure/executions", data={"mode": "drill", "csrf": own})
    assert answer.status_code == 403
    assert "it takes the scope restore" in answer.text


def test_a_token_that_may_not_even_look_is_told_so(tokens: Tokens, client: httpx.Client) -> None:
    logged_in(tokens, client, "makes-backups", "backup")
    answer = client.get("/")
    assert answer.status_code == 403
    assert "it takes the scope read" in answer.text


def test_no_other_site_can_frame_or_script_the_page(tokens: Tokens, client: httpx.Client) -> None:
    logged_in(tokens, client, "framed", "read")
    for path in ("/", "/login", "/plans"):
        policy = client.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy


def test_where_no_token_is_configured_the_page_says_so_and_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(tmp_path, monkeypatch)
    with answering(Parts(lambda: settings)) as client:
        shown = client.get("/plans")
        refused = client.post("/plans/database_failure/executions", data={"mode": "drill"})
        csrf = csrf_on(client.get("/plans/database_failure"))
        by_the_page = client.post("/plans/database_failure/executions", data={"mode": "drill", "csrf": csrf})
    assert "No token is configured" in shown.text
    assert "holdfast tokens create" in shown.text
    assert refused.status_code == 403
    assert by_the_page.status_code == 503  # no Prefect server runs here, which the form came far enough to find out
    assert "no Prefect server answers" in by_the_page.text
