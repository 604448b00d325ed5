"""Serves the sample's Edge Functions on a real Deno, at one address, as Supabase's gateway does.

Each function is a process, booted by its first call and again after its files changed: a folder that was lost and brought back
needs no word. Errors are Supabase's own: status, code in the body and in `sb-error-code`. Bodies are passed on whole.
"""

from __future__ import annotations

import http.client
import json
import threading
import traceback
from collections import defaultdict
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

from examples.content_pipeline.edge_function import EdgeFunction, FunctionProcess, find_deno, find_function

_PREFIX = "/functions/v1/"
_MOST_BYTES = 20 << 20
_HOP_BY_HOP = {"connection", "content-length", "host", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer"}

Headers = list[tuple[str, str]]
Answer = tuple[int, Headers, bytes]


class EdgeRuntime:
    """The functions below `folder` (which holds `config.toml` and `functions/`), served while the context lasts.

    `environment` is all that the functions see. `home` is a folder for Deno's cache and the log. With a `call_token` only that
    token opens a function that verifies tokens; without one every token does.
    """

    def __init__(
        self, folder: Path, *, environment: dict[str, str], home: Path, port: int = 0, call_token: str | None = None
    ) -> None:
        self.folder = folder.absolute()
        self._deno = find_deno()
        self._environment = environment
        self._home = home
        self._call_token = call_token
        self._processes: dict[str, FunctionProcess] = {}
        self._booting: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        home.mkdir(parents=True, exist_ok=True)
        self._log = self.log_path.open("ab", buffering=0)
        self._server = _Server(("127.0.0.1", port), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="edge runtime", daemon=True)

    @property
    def url(self) -> str:
        """Where functions are called: this address, a slash, and a function's name."""
        return f"http://127.0.0.1:{self._server.server_port}{_PREFIX.rstrip('/')}"

    @property
    def log_path(self) -> Path:
        """What the functions print, and why one could not be booted."""
        return self._home / "functions.log"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        for process in list(self._processes.values()):
            process.stop()
        self._log.close()

    def answer(self, method: str, target: str, headers: Headers, body: bytes) -> Answer:
        """Answer one request, by the function that it is for or with what is wrong."""
        path = urlsplit(target).path
        slug = unquote(path.removeprefix(_PREFIX).partition("/")[0]) if path.startswith(_PREFIX) else ""
        try:
            function = find_function(self.folder, slug)
        except ValueError:
            return _error(503, "LOAD_FUNCTION_METADATA_ERROR", "config.toml can't be read")
        except OSError:
            return _error(503, "LOAD_FUNCTION_ERROR", "The functions' files can't be read")
        if function is None:
            return _error(404, "NOT_FOUND", "Requested function was not found")
        if method != "OPTIONS" and function.verify_jwt and (refused := self._refused(dict(headers))):
            return refused
        process = self._booted(function)
        if process.port is None:
            return _error(503, "BOOT_ERROR", "Worker failed to boot (please check logs)")
        return _forwarded(process.port, method, "/" + target[len(_PREFIX) :], headers, body)

    def note(self, text: str) -> None:
        """Write into the log."""
        with suppress(ValueError):  # it is closed: the runtime ends
            self._log.write(text.encode())

    def _refused(self, headers: dict[str, str]) -> Answer | None:
        shown = next((value for name, value in headers.items() if name.lower() == "authorization"), None)
        if shown is None:
            return _error(401, "UNAUTHORIZED_NO_AUTH_HEADER", "Missing authorization header")
        word, _, token = shown.partition(" ")
        if word != "Bearer" or not token:
            return _error(401, "UNAUTHORIZED_INVALID_JWT_FORMAT", "Invalid JWT")
        if self._call_token is not None and token != self._call_token:
            return _error(401, "UNAUTHORIZED_LEGACY_JWT", "Invalid JWT")
        return None

    def _booted(self, function: EdgeFunction) -> FunctionProcess:
        with self._booting[function.slug]:
            process = self._processes.get(function.slug)
            if process is not None and process.is_running and process.function == function:
                return process
            if process is not None:
                process.stop()
            process = FunctionProcess(function, deno=self._deno, environment=self._environment, home=self._home, log=self._log)
            self._processes[function.slug] = process
            return process


def _forwarded(port: int, method: str, target: str, headers: Headers, body: bytes) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        passed = {name: value for name, value in headers if name.lower() not in _HOP_BY_HOP}
        connection.request(method, target, body or None, passed)
        response = connection.getresponse()
        content = response.read()
        own = [(name, value) for name, value in response.getheaders() if name.lower() not in _HOP_BY_HOP]
    except TimeoutError:
        return _error(504, "IDLE_TIMEOUT", "The function did not respond in time")
    except (OSError, http.client.HTTPException):
        return _error(500, "WORKER_ERROR", "Function exited due to an error (please check logs)")
    finally:
        connection.close()
    return response.status, own + ([("sb-error-code", "EDGE_FUNCTION_ERROR")] if response.status >= 500 else []), content


def _error(status: int, code: str, message: str) -> Answer:
    body = json.dumps({"code": code, "message": message}).encode()
    return status, [("Content-Type", "application/json"), ("sb-error-code", code)], body


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], runtime: EdgeRuntime) -> None:
        super().__init__(address, _Handler)
        self.runtime = runtime

    def handle_error(self, request: object, client_address: object) -> None:
        """Write into the log, not on the screen, what went wrong with a request, such as a caller that hung up."""
        self.runtime.note(traceback.format_exc())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _handle(self) -> None:
        length = self.headers.get("Content-Length") or "0"
        if "Transfer-Encoding" in self.headers or not length.isdigit() or int(length) > _MOST_BYTES:
            self.close_connection = True
            answer = _error(413, "REQUEST_REFUSED", "Only bodies of a known length up to 20 MiB are taken")
        else:
            body = self.rfile.read(int(length))
            answer = self.server.runtime.answer(self.command, self.path, list(self.headers.items()), body)
        self._send(*answer)

    def _send(self, status: int, headers: Headers, body: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _handle  # noqa: N815  the base class's names

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  the base class's name
        """Say nothing: functions print for themselves."""
