"""The server of the API: real TLS, proxies that are believed only where they are named, and a host that is safe to answer at."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from api.server import ServerOfProcess
from api.stopping import Stopping
from holdfast.errors import OutsideRefusedError, SettingsError
from holdfast.settings import Settings, load_settings
from holdfast.tokens import Tokens
from orchestration.api_certificate import ApiCertificate
from orchestration.api_exposure import reaches_others, require_safe, told_of_access
from tests.api.running import running
from tests.standing import settings_in

PLANS = "/functions/v1/backup?action=plans"


def certificate_in(folder: Path, *, days: int = 10, passphrase: bytes | None = None, name: str = "a") -> dict[str, str]:
    """Make a certificate for this machine, which ends after so many days; return the settings that name it."""
    folder.mkdir(exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    sealed = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    (folder / "api.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealed)
    (folder / "api.key").write_bytes(pem)
    (folder / "api.key").chmod(0o600)
    return {"BACKUP_API_TLS_CERTIFICATE_FILE": str(folder / "api.crt"), "BACKUP_API_TLS_KEY_FILE": str(folder / "api.key")}


def shown_name(address: tuple[str, int], certificate: Path) -> str:
    """Tell the name in the certificate that a new connection is shown, which has to be this one."""
    context = ssl.create_default_context(cafile=str(certificate))
    with socket.create_connection(address) as raw, context.wrap_socket(raw, server_hostname="127.0.0.1") as connection:
        found: Any = connection.getpeercert()
        return str(found["subject"][0][0][1])


def test_tls_is_spoken_and_a_renewed_certificate_is_shown_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_in(tmp_path, monkeypatch, **certificate_in(tmp_path / "tls", name="first"))
    certificate = ApiCertificate.of(settings)
    assert certificate is not None
    with running(settings) as one:
        assert one.url.startswith("https://127.0.0.1:")
        answer = one.client(verify=ssl.create_default_context(cafile=str(certificate.certificate))).get(PLANS)
        assert answer.status_code == 200
        assert "max-age" in answer.headers["Strict-Transport-Security"]
        assert shown_name(one.address, certificate.certificate) == "first"
        process = ServerOfProcess(one.server.config, Stopping(), certificate)
        (tmp_path / "tls" / "api.crt").write_text("half of one")
        asyncio.run(process.on_tick(0))
        certificate_in(tmp_path / "tls", name="second")
        asyncio.run(process.on_tick(0))
        assert shown_name(one.address, certificate.certificate) == "second"
        assert one.said(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") == b""  # without TLS nothing is said
    assert "the renewed certificate is not shown, the former one is" in caplog.text


def only_one(folder: Path) -> dict[str, str]:
    return {"BACKUP_API_TLS_KEY_FILE": certificate_in(folder)["BACKUP_API_TLS_KEY_FILE"]}


def missing(folder: Path) -> dict[str, str]:
    return certificate_in(folder) | {"BACKUP_API_TLS_CERTIFICATE_FILE": str(folder / "none.crt")}


def no_pem(folder: Path) -> dict[str, str]:
    made = certificate_in(folder)
    (folder / "api.crt").write_text("hello")
    return made


def no_key(folder: Path) -> dict[str, str]:
    made = certificate_in(folder)
    (folder / "api.key").write_text("hello")
    return made


def of_another(folder: Path) -> dict[str, str]:
    return certificate_in(folder) | {"BACKUP_API_TLS_KEY_FILE": certificate_in(folder / "other")["BACKUP_API_TLS_KEY_FILE"]}


def readable(folder: Path) -> dict[str, str]:
    made = certificate_in(folder)
    (folder / "api.key").chmod(0o644)
    return made


def locked(folder: Path) -> dict[str, str]:
    return certificate_in(folder, passphrase=b"word")


def expired(folder: Path) -> dict[str, str]:
    return certificate_in(folder, days=-1)


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (only_one, "BACKUP_API_TLS_KEY_FILE is set and BACKUP_API_TLS_CERTIFICATE_FILE is not"),
        (missing, "none.crt can't be read"),
        (no_pem, "holds no certificate"),
        (no_key, "no key in PEM"),
        (of_another, "it is not the certificate's"),
        (readable, "others may read"),
        (locked, "locked by a passphrase"),
        (expired, "has expired"),
    ],
)
def test_a_certificate_that_cannot_be_shown_is_told_before_anything_listens(
    made: Any, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(tmp_path, monkeypatch, **made(tmp_path / "tls"))

    def look() -> None:
        certificate = ApiCertificate.of(settings)
        assert certificate is not None
        certificate.context()
        certificate.require_in_time()

    with pytest.raises(SettingsError, match=why):
        look()


@contextmanager
def proxy_to(address: tuple[str, int], **added: str) -> Iterator[str]:
    """Run a small proxy in front, which tells for whom it asks."""

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            before = self.headers.get("X-Forwarded-For")
            chain = f"{before}, {self.client_address[0]}" if before else self.client_address[0]
            headers = dict(self.headers) | {"X-Forwarded-For": chain, "X-Forwarded-Proto": "https"} | added
            request = Request(f"http://{address[0]}:{address[1]}{self.path}", headers=headers)
            try:
                with build_opener(ProxyHandler({})).open(request, timeout=20) as answer:
                    self._answer(answer)
            except HTTPError as error:
                self._answer(error)

        def _answer(self, answer: Any) -> None:
            body = answer.read()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in {"connection", "date", "content-length"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what the application sees of who asks."""
    seen = {"client": scope["client"][0], "scheme": scope["scheme"], "root": scope["root_path"], "path": scope["path"]}
    await JSONResponse(seen)(scope, receive, send)


def seen_by_way_of_a_proxy(settings: Settings, said: str | None = None, **added: str) -> dict[str, str]:
    headers = {"X-Forwarded-For": said} if said else {}
    with running(settings, echo) as one, proxy_to(one.address, **added) as proxy:
        request = Request(f"{proxy}/v1/plans", headers=headers)
        with build_opener(ProxyHandler({})).open(request, timeout=20) as answer:
            return dict(json.loads(answer.read()))


def test_a_proxy_that_is_trusted_says_who_asks_and_nobody_before_it_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusting = settings_in(tmp_path, monkeypatch, BACKUP_API_TRUSTED_PROXIES="127.0.0.1,10.0.0.0/8")
    added = {"X-Forwarded-For": "198.51.100.1, 203.0.113.9, 10.1.1.1"}
    assert seen_by_way_of_a_proxy(trusting, **added) == {
        "client": "203.0.113.9",
        "scheme": "https",
        "root": "",
        "path": "/v1/plans",
    }
    assert seen_by_way_of_a_proxy(trusting, **{"X-Forwarded-For": "nonsense, 10.1.1.1"})["client"] == "10.1.1.1"
    assert seen_by_way_of_a_proxy(trusting, **{"X-Forwarded-For": "[2001:db8::7]:4711"})["client"] == "2001:db8::7"


def test_a_proxy_that_is_not_named_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = seen_by_way_of_a_proxy(settings_in(tmp_path, monkeypatch), "203.0.113.9")
    assert (seen["client"], seen["scheme"]) == ("127.0.0.1", "http")


def test_without_a_token_a_trusted_proxy_lets_nobody_in_and_with_one_whoever_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_in(tmp_path, monkeypatch, BACKUP_API_TRUSTED_PROXIES="127.0.0.1", BACKUP_API_ROOT_PATH="/backup")
    with running(settings) as one, proxy_to(one.address, **{"X-Forwarded-For": "203.0.113.9"}) as proxy:
        client = one.client()
        assert client.get(f"{proxy}{PLANS}").status_code == 403
        token = Tokens.of(settings).create("ops", ["read"])
        shown = {"Authorization": f"Bearer {token}"}
        answers = [client.get(f"{proxy}{path}{PLANS}", headers=shown) for path in ("", "/backup")]  # stripped by it, or not
        assert [answer.status_code for answer in answers] == [200, 200]
        assert "max-age" in answers[0].headers["Strict-Transport-Security"]
        assert client.get(f"{proxy}{PLANS}").status_code == 401
    assert "203.0.113.9: requests without a valid token" in caplog.text


@pytest.mark.parametrize(
    ("host", "others"), [("127.0.0.1", False), ("::1", False), ("localhost", False), ("0.0.0.0", True), ("::", True)]
)
def test_beyond_this_machine_it_takes_a_token(host: str, others: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path, monkeypatch, BACKUP_API_HOST=host)
    assert reaches_others(host) is others
    if others:
        with pytest.raises(OutsideRefusedError, match="no token is configured"):
            require_safe(settings)
        assert "this machine only" in told_of_access(settings)
        Tokens.of(settings).create("ops", ["read"])
        assert "without TLS" in told_of_access(settings)
    require_safe(settings)


def test_a_host_that_is_not_ours_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKUP_API_HOST", "192.0.2.1")
    settings = settings_in(tmp_path, monkeypatch)
    Tokens.of(settings).create("ops", ["read"])
    with pytest.raises(SettingsError, match=r"The HTTP API can't have port 0 at 192\.0\.2\.1"), running(load_settings()):
        pass


def test_it_answers_by_ipv6_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path, monkeypatch, BACKUP_API_HOST="::1")
    with running(settings) as one:
        assert one.url.startswith("http://[::1]:")
        assert one.client().get(PLANS).status_code == 200


def test_tokens_that_cannot_be_read_are_told_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path, monkeypatch)
    Tokens.of(settings).create("ops", ["read"])
    Tokens.of(settings).path.write_text("{")
    assert told_of_access(settings).startswith("The HTTP API lets nobody in: the tokens in ")
