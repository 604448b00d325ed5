"""Google Cloud Storage as gcp-storage-emulator makes it, on a free port of loopback, all in memory.

The emulator leaves out what the storage relies on, and that is added here, after Google's JSON API, and nothing else is:

- `ifGenerationMatch`, judged and carried out as one step, also when a resumable upload ends;
- listing in pages (`maxResults`, `pageToken`);
- object retention: kept, never shortened, and in the way of deleting and overwriting;
- errors with a body that tells a missing bucket from a missing object, 416 for a range behind the end;
- a body that breaks off is no body; several connections at once, kept open.

It writes all it knows of all objects into one file with every change, which takes ever longer, and is left out. Not there, and
not added: credentials of any kind are accepted, a bucket's own retention policy and holds do nothing.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from typing import Any

from gcp_storage_emulator import server as emulator
from gcp_storage_emulator.handlers import buckets, objects
from gcp_storage_emulator.server import Request, RequestHandler, Response
from gcp_storage_emulator.storage import Storage

from tests.storage.emulators import lifeline

Handler = Callable[..., None]
_step = threading.Lock()


def guarded(handler: Handler) -> Handler:
    """Add to a handler of the emulator what it lacks, so that what it does is one step that nothing comes between."""

    def handle(request: Request, response: Response, storage: Storage, *rest: object) -> None:
        _ = request.data  # read before the step begins: whoever sends slowly holds nobody up
        with _step:
            name = _object_name(request, storage)
            if not _refused(handler, request, response, storage, name):
                _carry_out(handler, request, response, storage, *rest)
                if response.status == HTTPStatus.NOT_FOUND:
                    _say_what_is_missing(request, response, storage, name)

    return handle


def _carry_out(handler: Handler, request: Request, response: Response, storage: Storage, *rest: object) -> None:
    if handler is objects.ls:
        _list(request, response, storage)
        return
    handler(request, response, storage, *rest)
    if response.status != HTTPStatus.OK:
        return
    if handler is buckets.insert and request.query.get("enableObjectRetention", [""])[0].lower() == "true":
        bucket = storage.get_bucket(request.data["name"])
        bucket["objectRetention"] = {"mode": "Enabled"}
        response.json(bucket)
    if handler is objects.patch and request.data.get("retention"):
        patched = _object(request, storage, request.params["object_id"])
        patched["retention"] = request.data["retention"]
        response.json(patched)


def _list(request: Request, response: Response, storage: Storage) -> None:
    query = {name: values[0] for name, values in request.query.items()}
    if storage.get_bucket(request.params["bucket_name"]) is None:
        response.status = HTTPStatus.NOT_FOUND
        return
    found, _ = storage.get_file_list(request.params["bucket_name"], query.get("prefix"))
    rest = [item for item in found if item["name"] > query.get("pageToken", "")]
    page = rest[: min(int(query.get("maxResults", 1000)), 1000)]
    listing = {"kind": "storage#objects", "items": page}
    if len(page) < len(rest):
        listing["nextPageToken"] = page[-1]["name"]
    response.json(listing)


def _refused(handler: Handler, request: Request, response: Response, storage: Storage, name: str | None) -> bool:
    """Answer with a refusal where the real service would refuse."""
    there = _object(request, storage, name)
    if name is None:
        return False
    wanted = request.query.get("ifGenerationMatch")
    if wanted and wanted != [there["generation"] if there else "0"]:
        return _refuse(response, 412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
    if handler in {objects.delete, objects.insert, objects.upload_partial} and _locked_until(there) > datetime.now(UTC):
        text = f"Object '{name}' is subject to object retention and cannot be deleted or overwritten."
        return _refuse(response, 403, "retentionPolicyNotMet", text)
    if handler is objects.patch and there and request.data.get("retention"):
        if "objectRetention" not in storage.get_bucket(request.params["bucket_name"]):
            return _refuse(response, 400, "invalid", "Object retention is not enabled on the bucket.")
        if _locked_until({"retention": request.data["retention"]}) < _locked_until(there):
            return _refuse(response, 403, "forbidden", "A locked retention can not be reduced.")
    return _is_behind_the_end(request, there) and _refuse(response, 416, "requestedRangeNotSatisfiable", "No such range.")


def _is_behind_the_end(request: Request, there: dict[str, Any] | None) -> bool:
    range_header = request.get_header("range")
    if not there or request.method != "GET" or not range_header:
        return False
    return int(range_header.removeprefix("bytes=").partition("-")[0]) >= int(there["size"])


def _locked_until(there: dict[str, Any] | None) -> datetime:
    retention = (there or {}).get("retention")
    return datetime.fromisoformat(retention["retainUntilTime"]) if retention else datetime.min.replace(tzinfo=UTC)


def _object_name(request: Request, storage: Storage) -> str | None:
    if "object_id" in request.params:
        return str(request.params["object_id"])
    if "upload_id" in request.query:
        return str(storage.resumable.get(request.query["upload_id"][0], {}).get("name"))
    if "uploadType" in request.query:
        given = request.data or {}
        return request.query.get("name", [None])[0] or given.get("meta", given).get("name")
    return None


def _object(request: Request, storage: Storage, name: str | None) -> dict[str, Any] | None:
    return storage.objects.get(request.params.get("bucket_name"), {}).get(name)


def _say_what_is_missing(request: Request, response: Response, storage: Storage, name: str | None) -> None:
    bucket = request.params["bucket_name"]
    if storage.get_bucket(bucket) is None:
        _refuse(response, 404, "notFound", "The specified bucket does not exist.")
    else:
        _refuse(response, 404, "notFound", f"No such object: {bucket}/{name}")


def _refuse(response: Response, status: int, reason: str, message: str) -> bool:
    response.status = HTTPStatus(status)
    error = {"code": status, "message": message, "errors": [{"domain": "global", "reason": reason, "message": message}]}
    response.json({"error": error})
    return True


def whole_data(handler: RequestHandler, query: dict[str, list[str]]) -> Any:
    """Read a request's body; the emulator's own takes what there is for the whole, and parses uploads as if they were mail."""
    length = int(handler.headers.get("Content-Length") or 0)
    body = handler.rfile.read(length)
    if len(body) < length:
        raise ConnectionAbortedError("the body broke off")
    kind = handler.headers.get("Content-Type") or ""
    if kind.startswith("application/json") and body and "upload_id" not in query:
        return json.loads(body)
    if not kind.startswith("multipart/related"):
        return body or None
    boundary = b"--" + kind.partition("boundary=")[2].strip('"').encode()
    _, meta, rest = body.split(boundary, 2)
    heading, _, content = rest.removesuffix(b"--").removesuffix(boundary).removesuffix(b"\r\n").partition(b"\r\n\r\n")
    content_type = heading.strip().decode().partition(":")[2].strip()
    return {"meta": json.loads(meta.partition(b"\r\n\r\n")[2]), "content": content, "content-type": content_type}


class Connection(RequestHandler):
    """One connection, on which one request follows another."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else every answer waits 40 ms for the client's receipt of its heading


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that goes away in the middle is what some tests are about."""


def main() -> None:
    lifeline.hold()
    logging.disable(logging.ERROR)
    emulator.HANDLERS = tuple(
        (path, {method: guarded(handler) for method, handler in handlers.items()}) for path, handlers in emulator.HANDLERS
    )
    emulator._read_data = whole_data
    Storage._write_config_to_file = lambda self: None
    server = Server(("127.0.0.1", 0), partial(Connection, Storage(use_memory_fs=True)))
    print(f"listens on http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
