"""A proxy on loopback between a storage and its server, which spoils what it is told to spoil.

Requests go to the real server and come back unchanged, but for those that a rule picks. A `Fault` says what happens to such a
request: it is answered in the server's place, never answered, cut off before or after the server did it, or what comes back is
cut or changed. The answers are worded as each service words them, with what it quotes of credentials.
"""

from __future__ import annotations

import http.client
import random
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import BinaryIO, Self
from urllib.parse import parse_qs, urlsplit

from holdfast.storage import StorageSettings
from tests.storage.servers import Kind, Server

QUOTED_SECRET = "quoted-by-the-server-canary"


class Fault(Enum):
    """What happens to a request."""

    ERROR = auto()  # 500, not done
    SLOW_DOWN = auto()  # 503, not done
    TOO_MANY = auto()  # 429, not done
    SILENCE = auto()  # no answer ever, not done
    SILENCE_AFTER_DONE = auto()
    RESET_AT_ONCE = auto()  # not done
    RESET_MID_REQUEST = auto()  # half of the request was read, not done
    RESET_AFTER_DONE = auto()  # the ambiguous one
    ERROR_AFTER_DONE = auto()  # 500, though it was done
    RESET_MID_BODY = auto()
    CUT_BODY = auto()  # half of it comes, Content-Length tells of all
    CUT_BODY_AND_LENGTH = auto()  # half of it comes, Content-Length tells of half
    CUT_BODY_UNTOLD = auto()  # half of it comes and no Content-Length: the end of the connection is the end
    WRONG_CONTENT = auto()  # all of it comes, one byte changed
    DENIED = auto()  # 403
    UNAUTHORIZED = auto()  # 401
    EXPIRED = auto()  # what the service says of credentials that were good until just now
    NO_BUCKET = auto()  # 404
    CONFLICT = auto()  # 409: another writes it just now; not done


# What passes when it is tried again, and shows. (A body that is cut with its length looks like a short object.)
RECOVERABLE = (
    Fault.ERROR,
    Fault.SLOW_DOWN,
    Fault.TOO_MANY,
    Fault.RESET_AT_ONCE,
    Fault.RESET_MID_REQUEST,
    Fault.RESET_AFTER_DONE,
    Fault.ERROR_AFTER_DONE,
    Fault.RESET_MID_BODY,
    Fault.CUT_BODY,
)


@dataclass(frozen=True)
class Request:
    """A request as it came."""

    kind: Kind
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def writes(self) -> bool:
        return self.method in {"PUT", "POST"}

    @property
    def lists(self) -> bool:
        path = urlsplit(self.target).path
        by_kind = {
            "s3": "list-type" in self.query,
            "azure": self.query.get("comp") == ["list"],
            "gcs": path.endswith("/o"),
        }
        return self.method == "GET" and by_kind[self.kind]

    @property
    def reads_content(self) -> bool:
        if self.kind == "gcs" and self.query.get("alt") != ["media"]:
            return False
        return self.method == "GET" and not self.lists


@dataclass
class Response:
    """A response as it goes: `body` is what is sent, which the headers may belie."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes

    def set_length(self, length: int | None) -> None:
        self.headers = [(name, value) for name, value in self.headers if name.lower() != "content-length"]
        if length is not None:
            self.headers.append(("Content-Length", str(length)))

    def head_bytes(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} {self.reason}", *(f"{name}: {value}" for name, value in self.headers)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


@dataclass
class Rule:
    """Which requests meet with a fault: `times` of those that `where` picks, each by `chance`."""

    faults: Sequence[Fault]
    times: int
    where: Callable[[Request], bool]
    chance: float
    random: random.Random
    met: int = 0

    def pick(self, request: Request) -> Fault | None:
        if self.met >= self.times or not self.where(request) or self.random.random() >= self.chance:
            return None
        self.met += 1
        return self.random.choice(self.faults)


@dataclass
class FaultProxy:
    """Use as a context manager; `settings_for` turns the settings of the server's storage into those of the way through here."""

    server: Server
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._closing = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._start(self._accept)

    def inject(
        self,
        *faults: Fault,
        times: int = 1,
        where: Callable[[Request], bool] = lambda request: True,
        chance: float = 1.0,
        seed: int = 0,
    ) -> Rule:
        """From now on have requests meet with these faults. The first rule that picks a request has it."""
        rule = Rule(faults, times, where, chance, random.Random(seed))
        with self._lock:
            self._rules.append(rule)
        return rule

    def heal(self) -> None:
        """From now on spoil nothing."""
        with self._lock:
            self._rules.clear()

    def settings_for(self, settings: StorageSettings) -> StorageSettings:
        assert settings.endpoint is not None
        return settings.model_copy(update={"endpoint": settings.endpoint.replace(self.server.endpoint, self.endpoint)})

    def close(self) -> None:
        with self._lock:
            self._closing = True
            for open_socket in (self._listener, *self._sockets):
                with suppress(OSError):
                    open_socket.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True, name="fault-proxy")
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                if self._closing:
                    connection.close()
                    return
                self._sockets.add(connection)
            self._start(lambda connection=connection: self._serve(connection))  # type: ignore[misc]

    def _serve(self, connection: socket.socket) -> None:
        address = urlsplit(self.server.endpoint)
        upstream = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
        try:
            with connection, connection.makefile("rb") as reader, suppress(ConnectionError):
                while self._serve_one(connection, reader, upstream):
                    pass
        finally:
            upstream.close()
            with self._lock:
                self._sockets.discard(connection)

    def _serve_one(self, connection: socket.socket, reader: BinaryIO, upstream: http.client.HTTPConnection) -> bool:
        """Serve one request; tell whether the connection may go on."""
        head = _read_head(reader, connection)
        if head is None:
            return False
        method, target, headers = head
        length = int(_value(headers, "content-length") or 0)
        request = Request(self.server.kind, method, target, headers, b"")
        fault = self._fault(request)
        if fault is Fault.RESET_MID_REQUEST:
            reader.read(length // 2)
            return _reset(connection)
        body = _read_chunked(reader) if "chunked" in (_value(headers, "transfer-encoding") or "") else reader.read(length)
        request = Request(self.server.kind, method, target, headers, body)
        with self._lock:
            self.requests.append(request)
        return _exchange(connection, upstream, request, fault)

    def _fault(self, request: Request) -> Fault | None:
        with self._lock:
            return next((fault for rule in self._rules if (fault := rule.pick(request)) is not None), None)


def _exchange(connection: socket.socket, upstream: http.client.HTTPConnection, request: Request, fault: Fault | None) -> bool:
    if fault is Fault.RESET_AT_ONCE:
        return _reset(connection)
    if fault is Fault.SILENCE:
        return _silence(connection)
    if fault in _ANSWERS or fault is Fault.EXPIRED:
        return _send(connection, request, _answer(request, fault))
    response = _forwarded(upstream, request)
    if fault is Fault.RESET_AFTER_DONE:
        return _reset(connection)
    if fault is Fault.SILENCE_AFTER_DONE:
        return _silence(connection)
    if fault is Fault.ERROR_AFTER_DONE:
        return _send(connection, request, _answer(request, Fault.ERROR))
    if fault is None or request.method == "HEAD" or not response.body:
        if fault in {Fault.RESET_MID_BODY, Fault.CUT_BODY, Fault.CUT_BODY_AND_LENGTH, Fault.CUT_BODY_UNTOLD}:
            return _reset(connection)  # there is no body to cut, so it is the answer that is lost
        return _send(connection, request, response)
    return _spoil(connection, request, response, fault)


def _spoil(connection: socket.socket, request: Request, response: Response, fault: Fault) -> bool:
    whole = response.body
    half = whole[: len(whole) // 2]
    if fault is Fault.WRONG_CONTENT:
        response.body = half + bytes([whole[len(half)] ^ 0x55]) + whole[len(half) + 1 :]
        return _send(connection, request, response)
    response.body = half
    if fault is Fault.CUT_BODY_AND_LENGTH:
        response.set_length(len(half))
        return _send(connection, request, response)
    if fault is Fault.CUT_BODY_UNTOLD:
        response.set_length(None)
        response.headers.append(("Connection", "close"))
    _send(connection, request, response)
    if fault is Fault.RESET_MID_BODY:
        return _reset(connection)
    return False


def _read_head(reader: BinaryIO, connection: socket.socket) -> tuple[str, str, list[tuple[str, str]]] | None:
    line = reader.readline().decode("latin-1").strip()
    if not line:
        return None
    method, target, _ = line.split(" ", 2)
    headers = []
    while header := reader.readline().decode("latin-1").strip():
        name, _, value = header.partition(":")
        headers.append((name, value.strip()))
    if _value(headers, "expect"):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    return method, target, [(name, value) for name, value in headers if name.lower() != "expect"]


def _read_chunked(reader: BinaryIO) -> bytes:
    parts = []
    while size := int(reader.readline().split(b";")[0], 16):
        parts.append(reader.read(size))
        reader.readline()
    reader.readline()
    return b"".join(parts)


def _value(headers: list[tuple[str, str]], name: str) -> str | None:
    return next((value for found, value in headers if found.lower() == name), None)


def _forwarded(upstream: http.client.HTTPConnection, request: Request) -> Response:
    """Let the server do it, and read its whole answer."""
    for last in (False, True):
        try:
            upstream.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers:
                if name.lower() not in {"connection", "transfer-encoding", "content-length"}:
                    upstream.putheader(name, value)
            if request.body or request.writes:
                upstream.putheader("Content-Length", str(len(request.body)))
            upstream.endheaders(request.body or None)
            answer = upstream.getresponse()
            break
        except (http.client.RemoteDisconnected, ConnectionError):
            upstream.close()  # it was kept open, and the server has closed it since
            if last:
                raise
    body = answer.read()
    headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in {"connection", "transfer-encoding"}]
    response = Response(answer.status, answer.reason, headers, body)
    if request.method != "HEAD" and answer.status not in {204, 304}:
        response.set_length(len(body))
    return response


def _send(connection: socket.socket, request: Request, response: Response) -> bool:
    connection.sendall(response.head_bytes() + (b"" if request.method == "HEAD" else response.body))
    return True


def _reset(connection: socket.socket) -> bool:
    """Have the client see 'connection reset'. What was sent before is given time to arrive."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def _silence(connection: socket.socket) -> bool:
    with suppress(OSError):
        while connection.recv(1):
            pass
    return False


_ANSWERS = {
    Fault.ERROR: (500, "InternalError", "InternalError", "backendError"),
    Fault.SLOW_DOWN: (503, "SlowDown", "ServerBusy", "backendError"),
    Fault.TOO_MANY: (429, "TooManyRequests", "OperationTimedOut", "rateLimitExceeded"),
    Fault.DENIED: (403, "AccessDenied", "AuthorizationPermissionMismatch", "forbidden"),
    Fault.UNAUTHORIZED: (401, "InvalidToken", "InvalidAuthenticationInfo", "authError"),
    Fault.NO_BUCKET: (404, "NoSuchBucket", "ContainerNotFound", "notFound"),
    Fault.CONFLICT: (409, "ConditionalRequestConflict", "LeaseIdMissing", "conflict"),
}


def _answer(request: Request, fault: Fault) -> Response:
    """Answer in the server's place and in its words."""
    if fault is Fault.EXPIRED:
        status, *codes = {"s3": 400, "azure": 403, "gcs": 401}[request.kind], "ExpiredToken", "AuthenticationFailed", "authError"
    else:
        status, *codes = _ANSWERS[fault]
    code = str(dict(zip(("s3", "azure", "gcs"), codes, strict=True))[request.kind])
    headers = [("Content-Type", "application/xml"), ("x-amz-request-id", "1")]
    if request.kind == "azure":
        headers = [("Content-Type", "application/xml"), ("x-ms-error-code", code)]
        quoted = f"<AuthenticationErrorDetail>The MAC signature '{QUOTED_SECRET}' is no good</AuthenticationErrorDetail>"
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>a fault of the test</Message>{quoted}</Error>"
    elif request.kind == "gcs":
        headers = [("Content-Type", "application/json")]
        message = '"message": "a fault of the test"'
        one = f'{{{message}, "reason": "{code}", "domain": "global", "debugInfo": "Bearer {QUOTED_SECRET}"}}'
        body = f'{{"error": {{"code": {status}, {message}, "errors": [{one}]}}}}'
    else:
        quoted = f"<AWSAccessKeyId>{QUOTED_SECRET}</AWSAccessKeyId><Token-0>{QUOTED_SECRET}</Token-0>"
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>a fault of the test</Message>{quoted}</Error>"
    response = Response(status, code, headers, body.encode())
    response.set_length(len(response.body))
    return response
