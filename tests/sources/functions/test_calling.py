"""After a redeploy a user learns of each function whether it answers, does not, or that this can't be told, and no more."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import SecretStr

from examples.content_pipeline.edge_function import function_names
from examples.content_pipeline.edge_runtime import EdgeRuntime
from examples.content_pipeline.sample_files import lay_out
from holdfast.errors import SettingsError, SourceFailedError
from holdfast.sources.functions.calling import Answer, call_all, call_function, refuse_silence

CANARY = "canary-token-2f1c"
NOT_FOUND = (404, {"sb-error-code": "NOT_FOUND"}, '{"code":"NOT_FOUND","message":"Requested function was not found"}')
Scene = tuple[int, dict[str, str], str]


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeRuntime]:
    """The sample's functions on Deno, behind a token; two are broken."""
    home = tmp_path_factory.mktemp("calling")
    sample = lay_out(home / "sample")
    for name, text in {"broken": "throw new Error('at start')", "fails": "Deno.serve(() => { throw 'at work' })"}.items():
        (sample.functions / "functions" / name).mkdir()
        (sample.functions / "functions" / name / "index.ts").write_text(text)
    with EdgeRuntime(sample.functions, environment=sample.environment, home=home / "edge", call_token=CANARY) as running:
        yield running


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler], Scene | None], *, port: int = 0) -> Iterator[str]:
    """Run an HTTP server that answers each request so, or says nothing for None."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            scene = answer(self)
            if scene is None:
                return
            status, headers, body = scene
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/functions/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def scene_of(function: Scene, *, nobody: Scene = NOT_FOUND) -> Callable[[BaseHTTPRequestHandler], Scene]:
    """Play a gateway that knows one function."""
    return lambda request: function if request.path.endswith("/known") else nobody


def judged(function: Scene, *, nobody: Scene = NOT_FOUND, token: SecretStr | None = None) -> tuple[str, str | None]:
    """Call the one function once."""
    with serving(scene_of(function, nobody=nobody)) as address:
        answer = call_function(address, "known", token=token, time_limit_seconds=0)
    assert answer.status == function[0]
    return answer.outcome, answer.reason


def test_every_function_of_the_sample_answers(runtime: EdgeRuntime) -> None:
    names = [name for name in function_names(runtime.folder) if name not in {"broken", "fails"}]
    assert call_all(runtime.url, names, token=SecretStr(CANARY)) == [Answer(name, "answers", 200) for name in names]


def test_without_a_token_only_open_functions_can_be_told(runtime: EdgeRuntime) -> None:
    told = {answer.slug: answer for answer in call_all(runtime.url, ["healthz", "summarise"])}
    assert told["healthz"].outcome == "answers"
    assert str(told["summarise"]) == "summarise: can't be told (it wants a token, and there is none)"
    refused = call_function(runtime.url, "summarise", token=SecretStr("another"))
    assert (refused.outcome, refused.reason) == ("can't be told", "the token was refused")


def test_what_does_not_start_fails_or_is_missing_does_not_answer(runtime: EdgeRuntime) -> None:
    assert call_function(runtime.url, "healthz").outcome == "answers"
    answers = call_all(runtime.url, ["broken", "fails", "gone", "healthz"], token=SecretStr(CANARY), time_limit_seconds=0.5)
    assert [(answer.outcome, answer.reason) for answer in answers] == [
        ("does not answer", "HTTP 503, BOOT_ERROR"),
        ("does not answer", "HTTP 500, EDGE_FUNCTION_ERROR"),
        ("does not answer", "no function of that name is deployed"),
        ("answers", None),
    ]
    with pytest.raises(SourceFailedError, match="3 of 4 functions do not answer: broken: HTTP 503, BOOT_ERROR; fails: "):
        refuse_silence(answers)
    refuse_silence(answers[3:])


@pytest.mark.parametrize("status", [200, 204, 302, 400, 401, 403, 404, 405, 422, 429])
def test_whatever_a_function_itself_says_is_an_answer(status: int) -> None:
    assert judged((status, {}, "" if status == 204 else '{"error": "POST only"}')) == ("answers", None)


@pytest.mark.parametrize(
    ("scene", "reason"),
    [
        ((503, {"sb-error-code": "BOOT_ERROR"}, "{}"), "HTTP 503, BOOT_ERROR"),
        ((503, {}, '{"code":"BOOT_ERROR","message":"Worker failed to boot (please check logs)"}'), "HTTP 503, BOOT_ERROR"),
        ((546, {"sb-error-code": "WORKER_RESOURCE_LIMIT"}, "{}"), "HTTP 546, WORKER_RESOURCE_LIMIT"),
        ((504, {"x-sb-error-code": "IDLE_TIMEOUT"}, ""), "HTTP 504, IDLE_TIMEOUT"),
        ((502, {}, "<html>Bad gateway</html>"), "HTTP 502"),
        ((500, {"sb-error-code": "a code of another kind"}, "BOOT_ERROR"), "HTTP 500"),
        ((429, {"sb-error-code": "RATE_LIMIT_EXCEEDED"}, "{}"), "HTTP 429, RATE_LIMIT_EXCEEDED"),
        ((404, {"sb-error-code": "NOT_FOUND_FUNCTION_BLOB"}, "{}"), "no function of that name is deployed"),
        ((404, {}, '{"code":"NOT_FOUND","message":"Requested function was not found"}'), "no function of that name is deployed"),
        ((404, {}, "Function not found"), "no function of that name is deployed"),
    ],
)
def test_what_the_gateway_says_of_a_function_is_no_answer(scene: Scene, reason: str) -> None:
    assert judged(scene) == ("does not answer", reason)


@pytest.mark.parametrize(
    "scene",
    [
        (401, {"sb-error-code": "UNAUTHORIZED_NO_AUTH_HEADER"}, "{}"),
        (401, {"sb-error-code": "UNAUTHORIZED_ASYMMETRIC_JWT"}, "{}"),
        (401, {}, '{"code":401,"message":"Missing authorization header"}'),
        (401, {}, '{"msg":"Invalid JWT"}'),
    ],
)
def test_a_gateway_that_wants_a_token_hides_whether_the_function_answers(scene: Scene) -> None:
    assert judged(scene) == ("can't be told", "it wants a token, and there is none")
    assert judged(scene, token=SecretStr(CANARY)) == ("can't be told", "the token was refused")


def test_an_address_that_says_the_same_of_every_name_shows_nothing() -> None:
    page = (200, {}, "<html>Welcome</html>")
    assert judged(page, nobody=page) == ("can't be told", "the address answers to every name")
    for status in (401, 402, 404):
        refusal = (status, {}, "in words of its own")
        told = ("can't be told", f"HTTP {status}, as for a function that does not exist")
        assert judged(refusal, nobody=(status, {}, "in other words")) == told
        assert judged((201, {}, ""), nobody=refusal) == ("answers", None)


def test_a_function_that_boots_slowly_is_waited_for() -> None:
    calls = iter([(503, {"sb-error-code": "BOOT_ERROR"}, ""), (546, {}, ""), (200, {}, "")])
    with serving(lambda request: next(calls) if request.path.endswith("/known") else NOT_FOUND) as address:
        assert call_function(address, "known", time_limit_seconds=60).outcome == "answers"


def test_a_server_that_comes_up_late_is_waited_for() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found: list[Answer] = []
    waiting = threading.Thread(target=lambda: found.append(call_function(f"http://127.0.0.1:{port}", "known")))
    waiting.start()
    waiting.join(0.3)
    with serving(scene_of((200, {}, "")), port=port):
        waiting.join()
    assert found == [Answer("known", "answers", 200)]


def test_nothing_listening_and_a_broken_connection_are_told_apart() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    refused = call_function(f"http://127.0.0.1:{port}", "known", time_limit_seconds=0.3)
    assert refused == Answer("known", "does not answer", reason="the address can't be connected to")
    with serving(lambda _: None) as address:
        broken = call_function(address, "known", time_limit_seconds=0.3)
    assert broken == Answer("known", "does not answer", reason="the connection broke (RemoteProtocolError)")


def test_an_answer_without_an_end_is_not_waited_for() -> None:
    enough = threading.Event()

    def endless(request: BaseHTTPRequestHandler) -> Scene | None:
        if not request.path.endswith("/known"):
            return NOT_FOUND
        request.send_response(400)
        request.end_headers()
        while not enough.wait(0.001):
            try:
                request.wfile.write(b"x" * 4096)
            except OSError:
                return None
        return None

    try:
        with serving(endless) as address:
            assert call_function(address, "known", time_limit_seconds=0).outcome == "answers"
            enough.set()
    finally:
        enough.set()


def test_each_name_arrives_as_it_is() -> None:
    asked: list[str] = []

    def noted(request: BaseHTTPRequestHandler) -> Scene:
        asked.append(request.path)
        return NOT_FOUND

    with serving(noted) as address:
        call_all(address + "/", ["a b/../c", "ü?x#y"], time_limit_seconds=0)
        assert call_all(address, []) == []
    assert sorted(asked) == ["/functions/v1/%C3%BC%3Fx%23y", "/functions/v1/a%20b%2F..%2Fc"]


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nonsense",
        "ftp://example.com/functions",
        "https://",
        "https://user:canary@example.com/x",
        "http://[::1",
        "https://x/?canary",
    ],
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="BACKUP_FUNCTIONS_URL") as refused:
        call_function(address, "known")
    assert "canary" not in str(refused.value)


def test_a_token_never_travels_in_clear_to_another_machine() -> None:
    for address in ("http://functions.example.com/v1", "http://192.0.2.7/v1", "http://localhost.example.com/v1"):
        with pytest.raises(SettingsError, match="it must be https") as refused:
            call_function(address, "known", token=SecretStr(CANARY))
        assert CANARY not in str(refused.value)


@pytest.mark.parametrize("token", ["", " ", f"{CANARY}\r\nX-More: 1", f"{CANARY} two", f"{CANARY}é"])
def test_a_token_that_no_header_can_hold_is_refused_unseen(token: str) -> None:
    with pytest.raises(SettingsError, match="BACKUP_FUNCTIONS_CALL_TOKEN") as refused:
        call_function("http://127.0.0.1:9/v1", "known", token=SecretStr(token))
    assert CANARY not in f"{refused.value!r} {refused.value}"


def test_a_token_is_sent_to_the_address_alone_and_shows_up_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    """Neither a redirect nor an answer that repeats the token brings it anywhere else."""
    elsewhere: list[str] = []
    caplog.set_level("DEBUG")

    def stranger(request: BaseHTTPRequestHandler) -> Scene:
        elsewhere.append(str(request.headers))
        return 200, {}, ""

    def echo(request: BaseHTTPRequestHandler) -> Scene:
        assert request.headers["Authorization"] == f"Bearer {CANARY}"
        if request.path.endswith("/known"):
            return 302, {"Location": other}, ""
        return 500, {}, f"{CANARY} BOOT_ERROR"

    with serving(stranger) as other, serving(echo) as address:
        answers = call_all(address, ["known", "echo"], token=SecretStr(CANARY), time_limit_seconds=0)
    assert [answer.outcome for answer in answers] == ["answers", "does not answer"]
    assert elsewhere == []
    assert CANARY not in f"{answers} {[answer.to_json() for answer in answers]} {caplog.text}"


def test_many_functions_are_called_at_once() -> None:
    together = threading.Barrier(3)

    def meeting(request: BaseHTTPRequestHandler) -> Scene:
        if "/meets-" not in request.path:
            return NOT_FOUND
        together.wait(60)
        return 200, {}, ""

    with serving(meeting) as address:
        answers = call_all(address, ["meets-1", "meets-2", "meets-3"])
    assert [answer.slug for answer in answers] == ["meets-1", "meets-2", "meets-3"]
    assert {answer.outcome for answer in answers} == {"answers"}
