"""Supabase's Management API for one project, on loopback and in the test's process.

From Supabase's published API description: paths, methods, parameters, field names and types, times as milliseconds, 201 for a
deployment, `bundleOnly`, that a bundled function changes nothing until PUT, that PUT creates or replaces what it is sent, is
idempotent and takes versions as they are sent; that a secret's `value` is its SHA-256; 60 requests a minute, then 429.
From its command line's source: the multipart form of a deployment (field `metadata`, repeated `file`), that PUT with a subset
leaves the others; the multipart form of a body (`metadata` with `deno2_entrypoint_path`, then files whose path is the filename or
the header `Supabase-Path`), that without `Accept: multipart/form-data` a body is one eszip; the names below `source/`.
Guesses: the words of refusals; 404 for an unknown project; 400 for a PUT of what was never bundled; how a bundler finds modules.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.sources.supabase.faults import Fault, Faults, Kind
from tests.sources.supabase.project import Deployed, Json, Project, RefusedError

__all__ = ["Deployed", "ManagementServer", "Project"]

TOKEN = "sbp_" + "0123456789abcdef" * 2 + "canary99"
REF = "abcdefghijklmnopqrst"
BOUNDARY = "----formdata-undici-042424242424"


class ManagementServer:
    """Run it as a context manager. `rights` are what the token may do; `limit` is (requests, seconds of a window)."""

    def __init__(self, *, token: str = TOKEN, on_switch: Callable[[dict[str, Deployed]], None] | None = None) -> None:
        self.token = token
        self.project = Project(REF, on_switch)
        self.rights = {
            "edge_functions_read",
            "edge_functions_write",
            "edge_functions_secrets_read",
            "edge_functions_secrets_write",
        }
        self.limit: tuple[int, float] | None = None
        self.path_in_header = False
        self.requests: list[tuple[str, str]] = []
        self.before_answer: Callable[[str, str], None] | None = None
        self._faults = Faults()
        self._window: tuple[float, int] = (0.0, 0)
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"api": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def fail(self, method: str, path_ending: str, kind: Kind = "answer", **more: Any) -> None:
        """Let the next requests that match go wrong; see Fault."""
        self._faults.add(Fault(method, path_ending, kind, **more))

    def take_fault(self, method: str, path: str) -> Fault | None:
        return self._faults.take(method, path)

    def count(self, method: str, path_ending: str) -> int:
        """Tell how many requests of that kind came."""
        return sum(1 for one, path in self.requests if one == method and path.endswith(path_ending))

    def must_wait_seconds(self) -> float:
        """Count a request; 0 where it is within the limit."""
        if self.limit is None:
            return 0.0
        most, seconds = self.limit
        with self._lock:
            began, count = self._window
            if time.monotonic() - began > seconds:
                began, count = time.monotonic(), 0
            self._window = (began, count + 1)
            return 0.0 if count < most else seconds

    def answer(self, method: str, path: str, query: dict[str, list[str]], headers: Any, body: bytes) -> tuple[int, str, bytes]:
        """Do a request; give status, content type and content."""
        found = re.fullmatch(r"/v1/projects/([^/]+)/(functions|secrets)(?:/([^/]+))?(/body)?", path)
        if found is None or found[1] != self.project.ref:
            raise RefusedError(404, "Project not found")
        kind, slug, of_body = found[2], found[3], bool(found[4])
        action = "read" if method == "GET" else "write"
        right = f"edge_functions_{action}" if kind == "functions" else f"edge_functions_secrets_{action}"
        if right not in self.rights:
            raise RefusedError(403, f"Your account does not have the necessary privileges to access this endpoint ({right})")
        with self.project.lock:
            if kind == "secrets":
                return self._secrets(method, body)
            if slug == "deploy":
                return _json(201, self._deploy(query, headers, body))
            if of_body:
                return self._body(slug, headers)
            return self._functions(method, slug, body)

    def _functions(self, method: str, slug: str | None, body: bytes) -> tuple[int, str, bytes]:
        functions = self.project.functions
        if method == "PUT":
            self.project.replace(json.loads(body))
            return _json(200, {"functions": [one.info for one in functions.values()]})
        if slug is None:
            return _json(200, [one.info for one in functions.values()])
        if method == "DELETE":
            self.project.delete(slug)
            return 200, "", b""
        return _json(200, self._one(slug).info)

    def _one(self, slug: str) -> Deployed:
        if slug not in self.project.functions:
            raise RefusedError(404, "Function not found")
        return self.project.functions[slug]

    def _deploy(self, query: dict[str, list[str]], headers: Any, body: bytes) -> Json:
        metadata: Json = {}
        files: dict[str, bytes] = {}
        for name, filename, content in _form(headers["Content-Type"], body):
            if name == "metadata":
                metadata = json.loads(content)
            elif name == "file" and filename:
                files[filename] = content
        bundle_only = query.get("bundleOnly", ["false"])[0] in {"true", "1"}
        return self.project.deploy(query["slug"][0], metadata, files, bundle_only=bundle_only)

    def _body(self, slug: str, headers: Any) -> tuple[int, str, bytes]:
        deployed = self._one(slug)
        if slug in self.project.without_source or "multipart/form-data" not in headers.get("Accept", ""):
            return 200, "application/octet-stream", b"ESZIP2.3" + json.dumps(sorted(deployed.files)).encode()
        entrypoint = json.dumps({"deno2_entrypoint_path": "source/" + deployed.metadata["entrypoint_path"]}).encode()
        parts = [b'Content-Disposition: form-data; name="metadata"\r\n\r\n' + entrypoint]
        for name, content in deployed.files.items():
            raw = f"source/{name}".replace('"', "%22")
            head = f'Content-Disposition: form-data; name="file"; filename="{raw}"\r\nContent-Type: text/plain\r\n\r\n'
            if self.path_in_header:
                short = raw.rsplit("/", 1)[-1]
                head = f'Content-Disposition: form-data; name="file"; filename="{short}"\r\nSupabase-Path: source/{name}\r\n\r\n'
            parts.append(head.encode() + content)
        return 200, f"multipart/form-data; boundary={BOUNDARY}", multipart(parts)

    def _secrets(self, method: str, body: bytes) -> tuple[int, str, bytes]:
        secrets = self.project.secrets
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        if method == "POST":
            if any(one["name"].startswith("SUPABASE_") for one in json.loads(body)):
                raise RefusedError(400, "Secret name must not start with the SUPABASE_ prefix")
            secrets |= {one["name"]: (hashlib.sha256(one["value"].encode()).hexdigest(), now) for one in json.loads(body)}
            return 201, "", b""
        if method == "DELETE":
            for name in json.loads(body):
                secrets.pop(name, None)
            return 200, "", b""
        return _json(200, [{"name": name, "value": digest, "updated_at": at} for name, (digest, at) in secrets.items()])


class _Server(ThreadingHTTPServer):
    daemon_threads = True  # one may be waiting in a connection that its client keeps open

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client may go away, or be killed
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    api: ManagementServer

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        self.api.requests.append((self.command, url.path))
        fault = self.api.take_fault(self.command, url.path)
        if fault is not None and not fault.after and fault.kind in {"answer", "reset", "silence"}:
            self._go_wrong(fault)
            return
        status, kind, content, headers = self._answer(url.path, parse_qs(url.query), body)
        if fault is not None and fault.after:
            self._go_wrong(fault)
            return
        self._send(status, kind, content, headers, fault)

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_PUT(self) -> None:
        self._handle()

    def do_DELETE(self) -> None:
        self._handle()

    def _answer(self, path: str, query: dict[str, list[str]], body: bytes) -> tuple[int, str, bytes, dict[str, str]]:
        try:
            if self.headers.get("Authorization") != f"Bearer {self.api.token}":
                raise RefusedError(401, f"Unauthorized: {self.headers.get('Authorization', '')}")  # a service may quote it
            wait_seconds = self.api.must_wait_seconds()
            if wait_seconds:
                return *_json(429, {"message": "ThrottlerException: Too Many Requests"}), {"Retry-After": str(int(wait_seconds))}
            if self.api.before_answer is not None:
                self.api.before_answer(self.command, path)
            return *self.api.answer(self.command, path, query, self.headers, body), {}
        except RefusedError as error:
            return *_json(error.status, {"message": error.message}), {}

    def _send(self, status: int, kind: str, content: bytes, headers: dict[str, str], fault: Fault | None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if fault is not None and fault.kind == "cut":
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
        elif fault is not None and fault.kind == "drip":
            self._drip(content)
        else:
            self.wfile.write(content)

    def _drip(self, content: bytes) -> None:
        try:
            for byte in content:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(0.05)
        except OSError:
            self.close_connection = True  # the client has had enough

    def _go_wrong(self, fault: Fault) -> None:
        if fault.kind == "answer":
            headers = {"Content-Type": "application/json", **fault.headers}
            self._send(fault.status, headers.pop("Content-Type"), fault.body, headers, None)
            return
        if fault.kind == "silence":
            time.sleep(1.0)
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def log_message(self, *_: object) -> None:
        pass


def multipart(parts: list[bytes]) -> bytes:
    """Write parts as a multipart body."""
    return b"".join(b"--" + BOUNDARY.encode() + b"\r\n" + part + b"\r\n" for part in parts) + f"--{BOUNDARY}--\r\n".encode()


def _json(status: int, value: Any) -> tuple[int, str, bytes]:
    return status, "application/json; charset=utf-8", json.dumps(value).encode()


def _form(content_type: str, body: bytes) -> list[tuple[str, str, bytes]]:
    """Take a form apart: name, filename and content of each field."""
    boundary = content_type.split("boundary=", 1)[1].encode()
    fields = []
    for piece in (b"\r\n" + body).split(b"\r\n--" + boundary)[1:-1]:
        head, _, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        name = re.search(rb' name="([^"]*)"', head)
        filename = re.search(rb' filename="([^"]*)"', head)
        shown = (filename[1] if filename else b"").decode().replace("%22", '"').replace("\\\\", "\\")
        fields.append(((name[1] if name else b"").decode(), shown, content))
    return fields
