"""What takes messages in tests: an HTTP server, a mail server, and services' addresses behind a proxy, all on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import http.server
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass
class Receiver:
    """What an HTTP server was sent: path and document. `status` is what it answers; `hangs` lets it answer never."""

    url: str = ""
    status: int = 200
    hangs: bool = False
    got: list[tuple[str, Any]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def texts(self) -> list[str]:
        """All that was sent, as text."""
        return [json.dumps(document, ensure_ascii=False) for _, document in self.got]


@contextmanager
def http_receiver(context: ssl.SSLContext | None = None, **behaviour: Any) -> Iterator[Receiver]:
    """Run an HTTP server, or one with TLS."""
    receiver = Receiver(**behaviour)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if receiver.hangs:
                receiver.released.wait(60)
                self.close_connection = True
                return
            receiver.got.append((f"{self.headers.get('Host')}{self.path}", json.loads(body)))
            self.send_response(receiver.status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        receiver.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield receiver
        finally:
            receiver.released.set()
            server.shutdown()
            thread.join()


@contextmanager
def proxy_to(receiver: Receiver) -> Iterator[str]:
    """Run a proxy that leads every CONNECT, whatever the host, to this receiver."""
    port = int(receiver.url.rpartition(":")[2])

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            with socket.create_connection(("127.0.0.1", port)) as there:
                self.send_response(200)
                self.end_headers()
                back = threading.Thread(target=_pump, args=(there, self.connection))
                back.start()
                _pump(self.connection, there)
                back.join()
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@dataclass
class MailServer:
    """A mail server, the mails that it took, and how each connection was: with TLS, and as which user."""

    host: str
    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    sessions: list[tuple[bool, str | None]] = field(default_factory=list)
    refuses: set[str] = field(default_factory=set)
    users: dict[str, str] = field(default_factory=dict)

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if address in self.refuses:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        mail = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        user = session.auth_data
        self.sessions.append((session.ssl is not None or server.transport_is_tls, user))  # type: ignore[attr-defined]
        return "250 OK"

    def check(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        name = data.login.decode()
        good = self.users.get(name) == data.password.decode()
        return AuthResult(success=good, auth_data=name if good else None, handled=False)


@contextmanager
def mail_server(
    host: str = "127.0.0.1",
    *,
    users: dict[str, str] | None = None,
    starttls: ssl.SSLContext | None = None,
    smtps: ssl.SSLContext | None = None,
    refuses: set[str] | None = None,
) -> Iterator[MailServer]:
    """Run a mail server; with `users` only they may send."""
    made = MailServer(host, users=users or {}, refuses=refuses or set())

    talking: set[SMTP] = set()

    class Server(SMTP):
        transport_is_tls = smtps is not None

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            talking.add(self)
            super().connection_made(transport)

        def connection_lost(self, error: Exception | None) -> None:
            super().connection_lost(error)
            talking.discard(self)

    async def hang_up() -> None:
        """End with everybody who has not said goodbye yet: a mail is here before its sender has heard so."""
        await asyncio.sleep(0.05)  # who was let in just now is not talking yet
        while talking:
            for one in talking:
                one.transport.abort()
            await asyncio.sleep(0.01)

    class Own(Controller):
        def factory(self) -> SMTP:
            return Server(
                made,
                hostname="mail.test",
                tls_context=starttls,
                auth_required=bool(users),
                auth_require_tls=False,
                authenticator=made.check,
            )

        def _trigger_server(self) -> None:  # its own would ask for the port 0
            made.port = self.server.sockets[0].getsockname()[1]
            socket.create_connection((host, made.port)).close()

    controller = Own(made, hostname=host, port=0, ssl_context=smtps)
    controller.start()
    try:
        yield made
    finally:
        asyncio.run_coroutine_threadsafe(hang_up(), controller.loop).result(10)
        controller.stop()


@dataclass
class Authority:
    """A certificate authority of its own: `file` is what has to be trusted."""

    file: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def server(self, *names: str) -> ssl.SSLContext:
        """Make what a server with these names shows."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = _certificate(names[0], key, self.certificate.subject, self.key, names)
        file = self.file.with_name("server.pem")
        file.write_bytes(_pem(key) + made.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


def authority(folder: Path) -> Authority:
    """Make an authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "an authority of tests")])
    made = _certificate("an authority of tests", key, name, key, ())
    file = folder / "authority.pem"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return Authority(file, key, made)


def _certificate(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    signing: ec.EllipticCurvePrivateKey,
    names: tuple[str, ...],
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
    return builder.sign(signing, hashes.SHA256())


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
