"""Who we are to Google: a key file, e-mail and key, a block's credentials, the default ones, or nobody at all."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from google.oauth2 import service_account
from pydantic import SecretStr

from holdfast.errors import SettingsError, StorageDeniedError, StorageUnreachableError
from holdfast.storage import StorageSettings
from holdfast.storage.gcs import GcsStorage
from holdfast.storage.gcs_client import open_client
from tests.storage.servers import Server

TOKEN = "the-token-canary"
EMAIL = "backups@project.iam.gserviceaccount.com"


@dataclass
class Front:
    """A server in front of the emulator that also gives tokens, as Google's does, and lets in only who shows one."""

    emulator: str
    takes: str | None = TOKEN  # any, where it is None
    gives_tokens: bool = True
    shown: list[str | None] = field(default_factory=list)
    endpoint: str = ""

    def answer(self, request: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        if request.path == "/token":
            if not self.gives_tokens:
                return 400, {}, json.dumps({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}).encode()
            return 200, {}, json.dumps({"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"}).encode()
        self.shown.append(request.headers.get("Authorization"))
        if self.takes is not None and self.shown[-1] != f"Bearer {self.takes}":
            return 401, {}, json.dumps({"error": {"code": 401, "message": "Invalid Credentials"}}).encode()
        address = urlsplit(self.emulator)
        with closing(HTTPConnection(address.hostname or "", address.port or 0)) as connection:
            connection.request(request.command, request.path, body, dict(request.headers))
            answer = connection.getresponse()
            return answer.status, dict(answer.headers), answer.read()


@contextmanager
def running(front: Front, certificate: Path | None) -> Iterator[Front]:
    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            status, headers, body = front.answer(self)
            self.send_response_only(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
        setattr(Handler, f"do_{method}", Handler.handle_any)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        front.endpoint = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield front
        finally:
            server.shutdown()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "holdfast tests")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + _pem(key))
    return path


@pytest.fixture
def front(gcs: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    """A service that speaks TLS and asks for a token."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with running(Front(gcs.endpoint), certificate) as front:
        yield front


@pytest.fixture(scope="module")
def private_key() -> str:
    return _pem(rsa.generate_private_key(65537, 2048)).decode()


@pytest.fixture
def key_file(front: Front, private_key: str, tmp_path: Path) -> Path:
    """The key file of a service account whose tokens come from the front."""
    info = {"type": "service_account", "client_email": EMAIL, "private_key": private_key, "token_uri": f"{front.endpoint}/token"}
    path = tmp_path / "key.json"
    path.write_text(json.dumps(info))
    return path


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine and a user without credentials."""
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _try_out(settings: StorageSettings, credentials: object | None = None) -> None:
    with closing(GcsStorage(settings, credentials=credentials)) as storage:
        storage.put("x", b"1")
        assert storage.get("x") == b"1"
        assert [info.name for info in storage.list()] == ["x"]
        storage.delete("x")


def test_the_key_file_of_a_service_account_opens_the_bucket(gcs: Server, front: Front, key_file: Path) -> None:
    _try_out(gcs.new_storage().model_copy(update={"endpoint": front.endpoint, "credentials_file": key_file}))
    assert set(front.shown) == {f"Bearer {TOKEN}"}


def test_the_default_credentials_open_the_bucket(
    gcs: Server, front: Front, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key_file))
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "any")
    _try_out(gcs.new_storage().model_copy(update={"endpoint": front.endpoint}))
    assert set(front.shown) == {f"Bearer {TOKEN}"}


def test_the_credentials_of_a_block_open_the_bucket(gcs: Server, front: Front, key_file: Path) -> None:
    credentials = service_account.Credentials.from_service_account_file(key_file)
    _try_out(gcs.new_storage().model_copy(update={"endpoint": front.endpoint}), credentials)
    assert set(front.shown) == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize("write", [str, lambda key: key.replace("\n", "\\n")])
def test_an_e_mail_address_and_a_private_key_are_a_service_account(private_key: str, write: Callable[[str], str]) -> None:
    # Its tokens come from Google, so only its making can be tried here; what then happens is the key file's case.
    settings = StorageSettings(type="gcs", bucket="b", access_key=SecretStr(EMAIL), secret_key=SecretStr(write(private_key)))
    client, session = open_client(settings)
    with client:
        assert session.credentials.service_account_email == EMAIL
        assert session.credentials.signer.sign(b"anything")


def test_credentials_that_are_refused_are_denied_and_not_quoted(gcs: Server, front: Front, key_file: Path) -> None:
    front.gives_tokens = False
    settings = gcs.new_storage().model_copy(update={"endpoint": front.endpoint, "credentials_file": key_file})
    with closing(GcsStorage(settings)) as storage, pytest.raises(StorageDeniedError, match=r"'x'.*Check.*credentials") as caught:
        storage.get("x")
    assert "PRIVATE" not in repr(caught.value)


def test_a_token_that_is_no_longer_taken_is_denied(gcs: Server, front: Front, key_file: Path) -> None:
    settings = gcs.new_storage().model_copy(update={"endpoint": front.endpoint, "credentials_file": key_file})
    with closing(GcsStorage(settings)) as storage:
        storage.put("x", b"1")
        front.takes = "a later token"
        with pytest.raises(StorageDeniedError, match="'x'") as caught:
            storage.get("x")
    assert TOKEN not in str(caught.value)


def test_where_tokens_come_from_does_not_answer_is_unreachable(key_file: Path) -> None:
    info = json.loads(key_file.read_text()) | {"token_uri": "http://127.0.0.1:9/token"}
    key_file.write_text(json.dumps(info))
    settings = StorageSettings(type="gcs", bucket="holdfast-b", credentials_file=key_file, endpoint="https://127.0.0.1:9")
    with closing(GcsStorage(settings)) as storage, pytest.raises(StorageUnreachableError, match="'x'"):
        storage.get("x")


def test_over_plain_http_no_credential_is_sent(gcs: Server, key_file: Path) -> None:
    with running(Front(gcs.endpoint, takes=None), None) as plain:
        _try_out(gcs.new_storage().model_copy(update={"endpoint": plain.endpoint, "credentials_file": key_file}))
        assert set(plain.shown) == {None}


def test_an_emulator_is_found_where_its_own_variable_says(gcs: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs.endpoint.removeprefix("http://"))
    _try_out(gcs.new_storage().model_copy(update={"endpoint": None}))


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("endpoint", [None, "https://127.0.0.1:9"])
def test_nobody_is_told_how_to_become_somebody(endpoint: str | None) -> None:
    with pytest.raises(SettingsError, match=r"no credentials.*BACKUP_STORAGE_CREDENTIALS_FILE.*gcloud"):
        GcsStorage(StorageSettings(type="gcs", bucket="holdfast-b", endpoint=endpoint))


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"access_key": "a@b"}, "BACKUP_STORAGE_SECRET_KEY is not set"),
        ({"secret_key": "canary"}, "BACKUP_STORAGE_ACCESS_KEY is not set"),
        ({"access_key": "a@b", "secret_key": "canary"}, "BACKUP_STORAGE_SECRET_KEY holds no private key"),
        ({"access_key": "a@b", "secret_key": "-----BEGIN PRIVATE KEY-----\ncanary\n"}, "BACKUP_STORAGE_SECRET_KEY holds no"),
        ({"credentials_file": "/nowhere/key.json"}, "'/nowhere/key.json' can't be read: No such file"),
        ({"endpoint": "ftp://127.0.0.1"}, "BACKUP_STORAGE_ENDPOINT is no address"),
    ],
)
def test_what_is_wrong_with_the_credentials_is_named_and_not_shown(wrong: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError) as caught:
        GcsStorage(StorageSettings.model_validate({"type": "gcs", "bucket": "holdfast-b", **wrong}))
    assert named in str(caught.value)
    assert "canary" not in f"{caught.value} {caught.value.__cause__}"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"type": "authorized_user"}', '{"type": "service_account", "private_key": "canary"}']
)
def test_a_file_that_is_no_key_file_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text(text)
    with pytest.raises(SettingsError, match=r"BACKUP_STORAGE_CREDENTIALS_FILE.*key.json") as caught:
        GcsStorage(StorageSettings(type="gcs", bucket="holdfast-b", credentials_file=tmp_path / "key.json"))
    assert "canary" not in str(caught.value)


def test_what_is_no_credential_is_refused() -> None:
    with pytest.raises(SettingsError, match="dict is no credential"):
        GcsStorage(StorageSettings(type="gcs", bucket="holdfast-b"), credentials={})
