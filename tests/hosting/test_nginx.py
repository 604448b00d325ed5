"""The configuration of deployments/nginx, by the real nginx: TLS, who asks, and a path before the API's own."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import orjson
import pytest
from starlette.types import Receive, Scope, Send

from tests.api.running import running
from tests.standing import settings_in

CONFIGURATION = Path(__file__).parents[2] / "deployments" / "nginx" / "holdfast.conf"
HOST = "backup.example.org"


async def _told(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with whom the application takes for the one who asks, and with what was asked for."""
    del receive
    said = {"client": scope["client"][0], "scheme": scope["scheme"], "root": scope["root_path"], "path": scope["path"]}
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": orjson.dumps(said)})


@contextmanager
def _nginx(folder: Path, backend: int, *, below: bool = False) -> Iterator[int]:
    """Run nginx with our configuration before this port; yield its port for TLS."""
    plain, secure = free_port(), free_port()
    text = CONFIGURATION.read_text().replace("[::]:", f"unix:{folder}/").replace("/etc/holdfast/tls", str(folder))
    text = text.replace("127.0.0.1:9464", f"127.0.0.1:{backend}").replace("listen 80;", f"listen 127.0.0.1:{plain};")
    text = text.replace("listen 443 ", f"listen 127.0.0.1:{secure} ")
    text = "\n".join(line for line in text.splitlines() if "listen unix:" not in line)
    if below:
        first, second = text.index("    location / {"), text.index("    # Or it lies below")
        text = text[:first] + text[second:].replace("    # location", "location").replace("    #     ", "").replace(
            "    # }", "}"
        )
    (folder / "site.conf").write_text(text)
    kept = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\nevents {{}}\n"
        f"http {{ access_log off; {kept}\ninclude {folder}/site.conf; }}\n"
    )
    process = subprocess.Popen(["nginx", "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")])
    try:
        _wait_for(secure, process)
        yield secure
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert process.poll() is None, "nginx ended by itself"
            assert time.monotonic() < end, "nginx does not listen"
            time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate."""
    made = tmp_path_factory.mktemp("nginx")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={HOST}"]
    command += ["-addext", f"subjectAltName=DNS:{HOST}"]
    command += ["-keyout", str(made / "certificate.key"), "-out", str(made / "certificate.pem")]
    subprocess.run(command, check=True, capture_output=True)
    return made


def _client(folder: Path, port: int) -> httpx.Client:
    """A client that comes from another address than nginx itself, and says that it is somebody else."""
    context = ssl.create_default_context(cafile=str(folder / "certificate.pem"))
    transport = httpx.HTTPTransport(verify=context, local_address="127.0.0.2")
    headers = {"Host": HOST, "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http"}
    return httpx.Client(base_url=f"https://127.0.0.1:{port}", transport=transport, headers=headers)


def _get(client: httpx.Client, path: str) -> httpx.Response:
    return client.get(path, extensions={"sni_hostname": HOST})


@pytest.mark.parametrize("below", [False, True])
def test_the_api_behind_nginx_knows_who_asks_and_by_which_path(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: bool
) -> None:
    root = "/backup" if below else ""
    more = {"BACKUP_API_TRUSTED_PROXIES": "127.0.0.1", "BACKUP_API_ROOT_PATH": root}
    settings = settings_in(tmp_path, monkeypatch, **more)
    with ExitStack() as held:
        echo, api = held.enter_context(running(settings, _told)), held.enter_context(running(settings))
        with _nginx(folder, echo.address[1], below=below) as port, _client(folder, port) as client:
            said = _get(client, f"{root}/v1/status").json()
        with _nginx(folder, api.address[1], below=below) as port, _client(folder, port) as client:
            answer = _get(client, f"{root}/healthz")
    assert (said["client"], said["scheme"], said["root"]) == ("127.0.0.2", "https", root)
    assert said["path"].removeprefix(root) == "/v1/status"
    assert answer.status_code == 200
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
