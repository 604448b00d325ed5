"""What a user meets when the Management API is slow, busy, broken, or says no."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from email.utils import formatdate

import pytest
from pydantic import SecretStr

from holdfast.errors import (
    HoldfastError,
    NotFoundError,
    SettingsError,
    SourceDeniedError,
    SourceFailedError,
    SourceUnreachableError,
)
from holdfast.sources.supabase import ApiFile, ManagementApi
from holdfast.storage.retrying import RetryPolicy
from tests.sources.supabase.conftest import PATIENT
from tests.sources.supabase.server import REF, TOKEN, ManagementServer

FILES = [ApiFile("functions/hello/index.ts", b"Deno.serve(() => new Response('hello'));\n")]
METADATA = {"name": "hello", "entrypoint_path": "functions/hello/index.ts", "verify_jwt": True}


def _opened(server: ManagementServer, *, token: str = TOKEN, project: str = REF, policy: RetryPolicy = PATIENT) -> ManagementApi:
    return ManagementApi(server.address, project, SecretStr(token), timeout_seconds=0.5, policy=policy)


@pytest.mark.parametrize(
    "after", ["0", formatdate(time.time() - 5, usegmt=True), "soon", None], ids=["seconds", "a date", "nonsense", "nothing"]
)
def test_a_busy_service_is_asked_again_whatever_it_says_of_when(
    api: ManagementApi, server: ManagementServer, after: str | None
) -> None:
    server.fail("GET", "/functions", status=429, headers={} if after is None else {"Retry-After": after}, times=6)
    assert api.functions() == []
    assert server.count("GET", "/functions") == 7


def test_a_service_that_takes_few_requests_at_a_time_gets_all_of_them_in_the_end(
    api: ManagementApi, server: ManagementServer
) -> None:
    server.limit = (3, 1.0)
    began = time.monotonic()
    for _ in range(5):
        assert api.functions() == []
    assert time.monotonic() - began >= 1.0


def test_a_service_that_asks_to_wait_longer_than_our_patience_is_given_up_at_once(server: ManagementServer) -> None:
    server.fail("GET", "/functions", status=429, headers={"Retry-After": "3600"})
    with _opened(server) as api, pytest.raises(SourceUnreachableError, match="429"):
        api.functions()
    assert server.count("GET", "/functions") == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520])
def test_a_service_that_fails_once_is_asked_again(api: ManagementApi, server: ManagementServer, status: int) -> None:
    server.fail("GET", "/functions", status=status, body=b"<html>bad gateway</html>", headers={"Content-Type": "text/html"})
    assert api.functions() == []


@pytest.mark.parametrize("kind", ["reset", "cut", "silence"])
def test_a_connection_that_breaks_once_is_no_error(server: ManagementServer, kind: str) -> None:
    server.project.deploy("hello", METADATA, {FILES[0].name: FILES[0].content}, bundle_only=False)
    server.fail("GET", "/functions", kind)  # type: ignore[arg-type]
    with _opened(server) as api:
        assert [one.slug for one in api.functions()] == ["hello"]


def test_a_service_that_keeps_failing_is_named_with_how_often_it_was_asked(api: ManagementApi, server: ManagementServer) -> None:
    server.fail("GET", "/functions", times=99)
    with pytest.raises(
        SourceUnreachableError, match=rf"list the functions of Supabase project {REF}.*500.*tried 4 times"
    ) as caught:
        api.functions()
    assert caught.value.retryable


def test_an_answer_that_drips_without_end_is_given_up(server: ManagementServer) -> None:
    server.project.deploy("hello", METADATA, {FILES[0].name: FILES[0].content}, bundle_only=False)
    server.fail("GET", "/functions", "drip", times=99)
    hasty = RetryPolicy(first_seconds=0.01, patience_seconds=0.4)
    with _opened(server, policy=hasty) as api, pytest.raises(SourceUnreachableError, match="did not end in time"):
        api.functions()


def test_a_port_where_nobody_listens_is_unreachable(server: ManagementServer) -> None:
    with ManagementServer() as other:
        address = other.address
    with ManagementApi(address, REF, SecretStr(TOKEN), policy=PATIENT) as api, pytest.raises(SourceUnreachableError):
        api.functions()


def test_a_bundle_whose_answer_was_lost_is_asked_for_again_for_it_changes_nothing(
    api: ManagementApi, server: ManagementServer
) -> None:
    server.fail("POST", "/deploy", "reset", after=True)
    assert api.deploy("hello", METADATA, FILES).version == 1
    assert server.count("POST", "/deploy") == 2
    assert api.functions() == []


def test_a_deployment_whose_answer_was_lost_is_not_done_twice(api: ManagementApi, server: ManagementServer) -> None:
    server.fail("POST", "/deploy", "reset", after=True)
    with pytest.raises(SourceUnreachableError):
        api.deploy("hello", METADATA, FILES, bundle_only=False)
    assert [one.version for one in api.functions()] == [1]


def test_a_wrong_token_and_a_missing_right_are_told_apart_from_an_outage(api: ManagementApi, server: ManagementServer) -> None:
    server.rights.remove("edge_functions_read")
    with pytest.raises(SourceDeniedError, match=rf"{REF}.*403.*the right edge_functions_read"):
        api.functions()
    with _opened(server, token="sbp_wrong") as other, pytest.raises(SourceDeniedError, match="401"):
        other.functions()
    assert server.count("GET", "/functions") == 2


def test_a_project_that_does_not_exist_is_named(server: ManagementServer) -> None:
    with _opened(server, project="unknown") as api, pytest.raises(NotFoundError, match="project unknown"):
        api.functions()


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Type": "text/html"}, b"<html>Welcome</html>"),
        ({}, b'[{"id": "1", "slug": "hel'),
        ({}, b'{"message": "ok"}'),
        ({}, b'[{"slug": "hello"}]'),
        ({}, b'["hello"]'),
        ({}, b'[{"id": "1", "slug": "hello", "version": "new"}]'),
        ({}, b'[{"id": "1", "slug": "hello", "version": 1, "created_at": "yesterday"}]'),
        ({}, b'[{"id": "1", "slug": "hello", "version": 1, "created_at": 1e400}]'),
        ({}, b'[{"id": "1", "slug": "hello", "version": Infinity}]'),
        ({}, b'[{"id": "1", "slug": "hello", "version": 1, "updated_at": 99999999999999999999}]'),
        ({}, b"[" * 100_000),
        ({}, b"\xff\xfe"),
        ({"Content-Encoding": "gzip"}, b"this is no gzip"),
    ],
)
def test_an_answer_that_makes_no_sense_is_an_error_and_not_an_empty_list(
    api: ManagementApi, server: ManagementServer, headers: dict[str, str], body: bytes
) -> None:
    server.fail("GET", "/functions", status=200, headers=headers, body=body)
    with pytest.raises(SourceFailedError, match="list the functions"):
        api.functions()


def test_an_answer_without_end_fills_no_memory(
    api: ManagementApi, server: ManagementServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.sources.supabase.transport._MOST_BYTES", 1 << 20)
    server.fail("GET", "/functions", status=200, body=b"[" + b" " * (2 << 20) + b"]")
    with pytest.raises(SourceFailedError, match="longer than 1048576 bytes"):
        api.functions()


def test_a_redirect_is_not_followed_with_the_token(api: ManagementApi, server: ManagementServer) -> None:
    with ManagementServer() as other:
        server.fail("GET", "/functions", status=307, headers={"Location": f"{other.address}/v1/projects/{REF}/functions"})
        with pytest.raises(SourceFailedError, match="307"):
            api.functions()
        assert other.requests == []


@pytest.mark.parametrize(
    "address",
    ["http://api.supabase.com", "http://10.0.0.1", "ftp://127.0.0.1", "api.supabase.com", "https://user:pw@api.supabase.com",
     "https://", "https://api.supabase.com/?key=1", "http://127.0.0.1.example.com", "http://[::"],
)  # fmt: skip
def test_an_address_that_would_show_the_token_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="BACKUP_SUPABASE_API_URL") as caught:
        ManagementApi(address, REF, SecretStr(TOKEN))
    assert "pw@" not in str(caught.value)


@pytest.mark.parametrize(
    "address", ["https://api.supabase.com", "http://localhost:8000", "http://127.0.0.1:1/", "http://[::1]:8000"]
)
def test_https_and_this_machine_are_taken(address: str) -> None:
    with ManagementApi(address, REF, SecretStr(TOKEN)) as api:
        assert api.address == address.rstrip("/")


@pytest.mark.parametrize("project", ["", "../other", "UPPER", "a/b", "a?b"])
def test_a_project_that_is_no_reference_is_refused(project: str) -> None:
    with pytest.raises(SettingsError, match="BACKUP_SUPABASE_PROJECT"):
        ManagementApi("https://api.supabase.com", project, SecretStr(TOKEN))


@pytest.mark.parametrize("token", ["", "  ", "sbp_canary\nX-Other: 1", "sbp_canäry"])
def test_a_token_that_no_header_can_hold_is_refused_without_being_shown(token: str) -> None:
    with pytest.raises(SettingsError, match="BACKUP_SUPABASE_ACCESS_TOKEN") as caught:
        ManagementApi("https://api.supabase.com", REF, SecretStr(token))
    assert "can" not in str(caught.value).replace("can't", "")


def test_the_token_and_values_are_in_no_error_repr_or_log(server: ManagementServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    value = "canary-value"

    def look(error: HoldfastError) -> None:
        shown.append("".join(traceback.format_exception(error)))

    with _opened(server) as api:
        shown.append(repr(api))
        server.fail("GET", "/functions", status=400, body=b'{"message":"bad token ' + TOKEN.encode() + b'"}')
        server.fail("GET", "/functions", "reset", times=4)
        server.fail("GET", "/secrets", status=200, body=b'[{"name":"A","value":"canary-value"')
        server.fail("POST", "/secrets", status=400, body=b'{"message":"value canary-value is bad"}')
        for attempt in (api.functions, api.functions, api.secrets):
            with pytest.raises(HoldfastError) as caught:
                attempt()
            look(caught.value)
        with pytest.raises(SourceFailedError) as refused:
            api.set_secrets([{"name": "A", "value": value}])
        look(refused.value)
    with _opened(server, token="sbp_other_canary") as other:
        with pytest.raises(SourceDeniedError) as denied:
            other.functions()
        look(denied.value)
    everything = "\n".join([*shown, caplog.text])
    assert "400" in everything
    assert "set secrets" in everything
    for secret in (TOKEN, "sbp_other_canary", "canary-value"):
        assert secret not in everything


def test_secrets_are_set_listed_by_digest_and_deleted(api: ManagementApi) -> None:
    api.set_secrets([{"name": "B", "value": "two"}, {"name": "A", "value": "one"}])
    listed = api.secrets()
    assert [one["name"] for one in listed] == ["A", "B"]
    assert all(len(one["value"]) == 64 and one["updated_at"] for one in listed)
    api.delete_secrets(["A"])
    assert [one["name"] for one in api.secrets()] == ["B"]


def test_several_threads_share_one_client(api: ManagementApi, server: ManagementServer) -> None:
    server.fail("GET", "/functions", times=3)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(api.functions())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[]] * 8
