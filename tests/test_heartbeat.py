"""The heartbeat, against real HTTP receivers: one that answers, one that refuses, one that hangs, and none at all."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import pytest
from pydantic import SecretStr

from holdfast.heartbeat import KEY, LASTING, LIMIT_SECONDS, Failing, Heartbeat, judge_heartbeat
from holdfast.settings import Settings

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SECRET = "c0ffee00-canary"


@dataclass
class Receiver:
    """What a receiver was sent, and what it answers, the last answer over and over."""

    url: str
    answers: list[int]
    beats: list[tuple[str, str, str | None]] = field(default_factory=list)


@contextmanager
def receiver(*answers: int) -> Iterator[Receiver]:
    """Listen for beats."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            made.beats.append((self.path, body, self.headers["Authorization"]))
            self.send_response(made.answers.pop(0) if len(made.answers) > 1 else made.answers[0])
            self.end_headers()

        def log_message(self, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Receiver(f"http://127.0.0.1:{server.server_port}", list(answers))
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()


def heartbeat(address: str, kind: str = "database") -> Heartbeat:
    made = Heartbeat.of(Settings.model_construct(heartbeat_url=SecretStr(address)), kind)
    assert made is not None
    return made


def test_the_start_the_success_and_the_failure_of_a_run_each_reach_their_address_under_one_id() -> None:
    rid = uuid4()
    with receiver(200) as there:
        beats = heartbeat(f"{there.url}/{SECRET}")
        assert [beats.tell(beat, rid, f"told {beat}") for beat in ("start", "success", "fail")] == [None] * 3
    assert there.beats == [
        (f"/{SECRET}/start?rid={rid}", "told start", None),
        (f"/{SECRET}?rid={rid}", "told success", None),
        (f"/{SECRET}/fail?rid={rid}", "told fail", None),
    ]


def test_a_login_and_a_query_in_the_address_survive() -> None:
    rid = uuid4()
    with receiver(200) as there:
        address = there.url.replace("//", "//someone:p%40ss@") + "/ping/?create=1&name=a%20b"
        assert heartbeat(address).tell("start", rid, "") is None
    assert there.beats == [(f"/ping/start?create=1&name=a%20b&rid={rid}", "", "Basic c29tZW9uZTpwQHNz")]


def test_each_type_has_an_address_of_its_own_where_the_address_says_so() -> None:
    with receiver(200) as there:
        for kind in ("database", "monitor"):
            beats = heartbeat(f"{there.url}/{{type}}/x", kind)
            assert beats.own
            beats.tell("success", uuid4(), "")
    assert [path.partition("?")[0] for path, _, _ in there.beats] == ["/database/x", "/monitor/x"]
    assert not heartbeat("http://127.0.0.1/x").own


def test_a_receiver_that_refuses_is_tried_once_more() -> None:
    with receiver(500, 200) as there:
        assert heartbeat(there.url).tell("success", uuid4(), "") is None
        assert len(there.beats) == 2
    with receiver(500) as there:
        assert heartbeat(there.url).tell("success", uuid4(), "") == "it answers 500"
        assert len(there.beats) == 2


def test_a_receiver_that_hangs_costs_a_few_seconds_and_no_more() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        began = time.monotonic()
        problem = heartbeat(f"http://127.0.0.1:{deaf.getsockname()[1]}/{SECRET}").tell("success", uuid4(), "")
    assert time.monotonic() - began < LIMIT_SECONDS + 1
    assert problem == "it can't be reached: no answer within 2.5 seconds"


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:1/canary", "http://127.0.0.1:nonsense/canary", "http://[canary", "http:///canary"]
)
def test_no_problem_names_what_is_secret_in_the_address(address: str) -> None:
    beats = heartbeat(address)
    problem = beats.tell("success", uuid4(), "")
    assert problem
    assert "canary" not in problem + repr(beats) + beats.host


def test_the_host_is_named_without_login_and_path() -> None:
    assert heartbeat(f"https://me:{SECRET}@hc.example:8443/{SECRET}?k={SECRET}").host == "https://hc.example:8443"


def test_beats_that_do_not_get_out_for_an_hour_are_an_alarm_and_a_short_gap_is_not() -> None:
    failing = Failing(NOW - LASTING, "it answers 500")
    alarm = judge_heartbeat("https://hc.example", failing, NOW)[KEY]
    assert alarm is not None
    assert "https://hc.example takes no beats: it answers 500" in alarm.what
    assert judge_heartbeat("https://hc.example", failing, NOW - timedelta(minutes=1)) == {}
    assert judge_heartbeat("https://hc.example", None, NOW) == {KEY: None}
    assert judge_heartbeat(None, failing, NOW) == {KEY: None}
