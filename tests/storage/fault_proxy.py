"""A proxy on loopback between a storage and its server, which spoils what it is told to spoil.

Requests go to the real server and come back unchanged, but for those that a rule picks. A `Fault` says what happens to such a
request: it is answered in the server's place, never answered, cut off before or after the server did it, or what comes back is
cut or changed.
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
from typing import BinaryIO, Self
from urllib.parse import urlsplit

from holdfast.storage import StorageSettings
from tests.storage.faults import ANSWERS, Fault, Request, Response, answer
from tests.storage.servers import Server


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
            with connection, connection.makefile("rb") as reader, suppress(OSError, http.client.HTTPException):
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
        if len(body) < length:
            return False  # the client gave up while it sent: the server must not take a part for the whole
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
    if fault in ANSWERS or fault is Fault.EXPIRED:
        return _send(connection, request, answer(request, fault))
    response = _forwarded(upstream, request)
    if fault is Fault.RESET_AFTER_DONE:
        return _reset(connection)
    if fault is Fault.SILENCE_AFTER_DONE:
        return _silence(connection)
    if fault is Fault.ERROR_AFTER_DONE:
        return _send(connection, request, answer(request, Fault.ERROR))
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
    if request.writes:
        upstream.close()  # a connection that was kept open may have ended, and what was sent there must not be sent again
    for last in (request.writes, True):
        try:
            upstream.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers:
                if name.lower() not in {"connection", "transfer-encoding", "content-length"}:
                    upstream.putheader(name, value)
            if request.body or request.writes:
                upstream.putheader("Content-Length", str(len(request.body)))
            upstream.endheaders(request.body or None)
            found = upstream.getresponse()
            break
        except (http.client.RemoteDisconnected, ConnectionError):
            upstream.close()  # it was kept open, and the server has closed it since
            if last:
                raise
    body = found.read()
    headers = [(name, value) for name, value in found.getheaders() if name.lower() not in {"connection", "transfer-encoding"}]
    response = Response(found.status, found.reason, headers, body)
    if request.method != "HEAD" and found.status not in {204, 304}:
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
