"""What takes too much is refused with a problem that says so, and hinders nobody else."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, Router

from api.connection import Connection
from api.headers import Headers
from api.json_body import DEEPEST
from api.limits import LONGEST_BODY_BYTES, Limits
from api.stopping import Stopping
from holdfast.settings import Settings
from tests.api.running import Running, running
from tests.standing import settings_in

PATH = "/v1/anything"
MIB = 1024 * 1024


class Impatient(Connection):
    """Waits for headers no longer than a test does."""

    headers_seconds = 0.3


class Handlers:
    """Routes of a test: one tells the length of what it got, one waits until it may go on."""

    def __init__(self) -> None:
        self.goes_on = threading.Event()
        self.begun = threading.Semaphore(0)
        self.stopping = Stopping()

    async def length(self, request: Request) -> JSONResponse:
        return JSONResponse({"bytes": len(await request.body())})

    def waits(self, _: Request) -> JSONResponse:
        self.begun.release()
        self.goes_on.wait(20)
        return JSONResponse({"waited": True})

    def fails(self, _: Request) -> JSONResponse:
        raise RuntimeError("canary: /etc/passwd and the password")

    def limited(self, **limits: Any) -> Headers:
        routes = [
            Route(PATH, self.length, methods=["GET", "POST", "PUT"]),
            Route("/v1/waits", self.waits),
            Route("/v1/fails", self.fails),
            Route("/healthz", self.length),
            Route("/form", self.length, methods=["POST"]),
        ]
        return Headers(Limits(Router(routes), self.stopping, **limits))


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return settings_in(tmp_path, monkeypatch)


@pytest.fixture
def handlers() -> Iterator[Handlers]:
    made = Handlers()
    yield made
    made.goes_on.set()


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One for the tests that leave it as it was."""
    with pytest.MonkeyPatch.context() as patch:
        settings, made = settings_in(tmp_path_factory.mktemp("limits"), patch), Handlers()
    with running(settings, made.limited(body_seconds=0.5), made.stopping, Impatient) as one:
        yield one


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Require that an answer is this problem, and harmless in a browser; return it."""
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json"), answer.text
    said = dict(answer.json())
    assert (said["status"], said["code"], said["requestId"]) == (status, code, answer.headers["Request-Id"])
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert "server" not in answer.headers
    return said


def posted(api: Running, content: Any, kind: str | None = "application/json", **headers: str) -> httpx.Response:
    if kind is not None:
        headers["Content-Type"] = kind
    return api.client().post(PATH, content=content, headers=headers)


def test_a_body_is_as_long_as_it_may_be_and_no_longer(api: Running) -> None:
    longest = json.dumps("x" * (LONGEST_BODY_BYTES - 2)).encode()
    assert posted(api, longest).json() == {"bytes": LONGEST_BODY_BYTES}
    problem(posted(api, longest + b" "), 413, "HF-208")
    problem(posted(api, b"x" * 20 * MIB), 413, "HF-208")


def test_a_body_that_does_not_tell_its_length_is_cut_off_where_it_is_too_long(api: Running) -> None:
    assert posted(api, (b" " * 1000 for _ in range(1000))).json() == {"bytes": 1_000_000}
    problem(posted(api, (b"x" * MIB for _ in range(3))), 413, "HF-208")


def test_a_body_that_trickles_is_given_up_and_holds_nobody_up(api: Running) -> None:
    def trickling() -> Iterator[bytes]:
        for _ in range(20):
            yield b" "
            time.sleep(0.1)

    slow = [threading.Thread(target=lambda: answers.append(posted(api, trickling()))) for _ in range(4)]
    answers: list[httpx.Response] = []
    for one in slow:
        one.start()
    assert api.client().get(PATH).status_code == 200
    for one in slow:
        one.join()
    assert len(answers) == 4
    for answer in answers:
        problem(answer, 408, "HF-208")


def test_who_connects_and_says_nothing_or_half_a_request_is_hung_up_on(api: Running) -> None:
    began = time.monotonic()
    for raw in (b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n"):
        with socket.create_connection(api.address, timeout=10) as connection:
            connection.sendall(raw)
            assert connection.recv(1) == b""
    assert time.monotonic() - began < 5


def test_a_url_and_headers_have_their_lengths(api: Running) -> None:
    client = api.client()
    problem(client.get(PATH + "?" + "x" * 9000), 414, "HF-208")
    problem(client.get(PATH, headers={"X-Long": "x" * 33_000}), 431, "HF-208")
    said = api.said(b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 400_000)
    assert said.startswith(b"HTTP/1.1 431 ")
    assert b"application/problem+json" in said


@pytest.mark.parametrize(
    "raw",
    [b"hello\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"],
    ids=["no HTTP", "no host", "no length"],
)
def test_what_is_no_http_is_told_so(api: Running, raw: bytes) -> None:
    head, _, body = api.said(raw).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"x-content-type-options: nosniff" in head
    assert json.loads(body)["code"] == "HF-207"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "'c' twice"),
        (rb'{"\ud800": 1, "\ud800": 2}', "'?' twice"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": 1', "no JSON"),
        (b'{"a": "\xff"}', "UTF-8"),
        (rb'{"a": "\u0000"}', "can't be kept"),
        (rb'{"\ud800": 1}', "can't be kept"),
        (b"[" * 40 + b"]" * 40, f"deeper than {DEEPEST}"),
        (b"[" * 300_000 + b"]" * 300_000, f"deeper than {DEEPEST}"),
        (b"9" * 10_000, "no JSON"),
    ],
    ids=["twice", "half a pair twice", "NaN", "cut", "bytes", "NUL", "half a pair", "deep", "very deep", "long number"],
)
def test_json_that_others_would_read_otherwise_is_refused(api: Running, body: bytes, why: str) -> None:
    assert why in problem(posted(api, body), 422, "HF-207")["detail"]


def test_a_name_that_comes_twice_is_found_quickly_among_very_many(api: Running) -> None:
    names = ",".join(f'"{number:x}":0' for number in range(60_000))
    began = time.monotonic()
    assert "'ea5f' twice" in problem(posted(api, f'{{{names},"ea5f":0}}'.encode()), 422, "HF-207")["detail"]
    assert time.monotonic() - began < 5  # one by one against all others it took more than a minute


def test_json_as_deep_as_it_may_be_is_taken(api: Running) -> None:
    assert posted(api, b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1)).status_code == 200


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"])
def test_a_body_that_is_not_sent_as_json_is_refused(api: Running, kind: str | None) -> None:
    problem(posted(api, b"{}", kind), 415, "HF-207")


def test_a_compressed_body_is_refused(api: Running) -> None:
    problem(posted(api, b"\x1f\x8b", **{"Content-Encoding": "gzip"}), 415, "HF-207")


def test_a_post_without_a_body_needs_no_type_and_a_form_of_the_page_is_none_of_json(api: Running) -> None:
    assert posted(api, b"", None).json() == {"bytes": 0}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert api.client().post("/form", content=b"a=1", headers=form).json() == {"bytes": 3}


@pytest.mark.parametrize("path", ["/v1/%00", "/v1/anything?name=%00"])
def test_a_nul_in_a_url_is_refused(api: Running, path: str) -> None:
    problem(api.client().get(path), 422, "HF-207")


def test_who_is_one_too_many_is_told_to_come_back_and_the_process_still_shows_that_it_lives(
    settings: Settings, handlers: Handlers
) -> None:
    with running(settings, handlers.limited(at_once=2), handlers.stopping) as full:
        waiting = [threading.Thread(target=lambda: full.client().get("/v1/waits")) for _ in range(2)]
        for one in waiting:
            one.start()
            assert handlers.begun.acquire(timeout=10)
        answer = full.client().get(PATH)
        problem(answer, 503, "HF-603")
        assert answer.headers["Retry-After"] == "5"
        assert full.client().get("/healthz").status_code == 200
        handlers.goes_on.set()
        for one in waiting:
            one.join()
        assert full.client().get(PATH).status_code == 200


def test_what_nobody_foresaw_tells_nothing_outside_and_all_in_the_log(api: Running, caplog: pytest.LogCaptureFixture) -> None:
    answer = api.client().get("/v1/fails")
    said = problem(answer, 500, "HF-000")
    assert "canary" not in answer.text
    assert "Traceback" not in answer.text
    assert said["requestId"] in caplog.text
    assert "RuntimeError: canary" in caplog.text


@pytest.mark.parametrize("told", [lambda stopping: stopping.wait(20), lambda stopping: stopping.has_begun], ids=["wait", "look"])
def test_whoever_waits_for_long_learns_that_the_process_ends(
    settings: Settings, handlers: Handlers, told: Callable[[Stopping], bool]
) -> None:
    seen: list[bool] = []
    with running(settings, handlers.limited(), handlers.stopping) as one:
        waiting = threading.Thread(target=lambda: (one.end(), seen.append(told(handlers.stopping))))
        waiting.start()
        waiting.join(10)
    assert seen == [True]


def test_at_the_end_what_goes_on_is_finished_and_what_hangs_is_answered(settings: Settings, handlers: Handlers) -> None:
    answers: dict[str, httpx.Response] = {}

    def ask(name: str, path: str) -> None:
        answers[name] = one.client().get(path)

    began = time.monotonic()
    with running(settings, handlers.limited(), handlers.stopping) as one:
        hanging = threading.Thread(target=ask, args=("hanging", "/v1/waits"))
        hanging.start()
        assert handlers.begun.acquire(timeout=10)
        one.server.should_exit = True
        hanging.join()
        handlers.goes_on.set()
    assert time.monotonic() - began < 8
    problem(answers["hanging"], 503, "HF-603")
    assert "being stopped" in answers["hanging"].json()["detail"]
