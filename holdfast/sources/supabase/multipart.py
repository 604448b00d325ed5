"""Reads the source files of a function from a multipart answer.

Parsed here and not by Python's email package, which strips folders from names and changes line ends. The path of a file is its
header `Supabase-Path`, else the raw filename of `Content-Disposition`. An answer that ends early is an error.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from holdfast.errors import SourceFailedError
from holdfast.sources.supabase.paths import relative_path, require_distinct

_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE)
_NAME = re.compile(r';\s*name="((?:\\.|[^"\\])*)"', re.IGNORECASE)
_FILENAME = re.compile(r';\s*filename="((?:\\.|[^"\\])*)"', re.IGNORECASE)
_ESCAPED = re.compile(r'\\(["\\])')
_BY_FORMS = {"%22": '"', "%0D": "\r", "%0A": "\n"}  # how forms write what a quoted name can't hold


@dataclass(frozen=True, slots=True)
class ApiFile:
    """A file of a function: its name as the service has it, and its content."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class FunctionBody:
    """The sources of a deployed function, and what the service tells beside them, such as `deno2_entrypoint_path`."""

    files: list[ApiFile]
    metadata: dict[str, Any] = field(default_factory=dict)


def read_body(content_type: str, data: bytes, what: str) -> FunctionBody:
    """Read the answer to a request for a function's body; `what` names it. Raises SourceFailedError, UnsafePathError."""
    files: list[ApiFile] = []
    metadata: dict[str, Any] = {}
    for headers, content in _parts(content_type, data, what):
        disposition = headers.get("content-disposition", "")
        name = headers.get("supabase-path") or _raw(_FILENAME, disposition)
        if name is not None:
            files.append(ApiFile(name, content))
        elif _raw(_NAME, disposition) == "metadata":
            metadata = _metadata(content, what)
        else:
            relative_path("", what)
    require_distinct((relative_path(file.name, what) for file in files), what)
    return FunctionBody(files, metadata)


def _parts(content_type: str, data: bytes, what: str) -> list[tuple[dict[str, str], bytes]]:
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise _broken(what, "its answer names no boundary between the files")
    boundary = re.escape((found[1] or found[2]).encode("latin-1", "replace"))
    pieces = re.split(rb"(?:\A|\r\n)--" + boundary + rb"(--)?[ \t]*(?=\r\n|\Z)", data)
    if len(pieces) < 3 or "--" not in {(mark or b"").decode() for mark in pieces[1::2]}:
        raise _broken(what, "its answer ends before its last file does")
    parts = []
    for closing, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        if closing:
            break
        head, blank, content = piece.partition(b"\r\n\r\n")
        if not blank:
            raise _broken(what, "a file in its answer has no head")
        parts.append((_headers(head, what), content))
    return parts


def _headers(head: bytes, what: str) -> dict[str, str]:
    try:
        lines = head.decode("utf-8").strip("\r\n").split("\r\n")
    except UnicodeDecodeError as error:
        raise _broken(what, "a file in its answer has a name that is no UTF-8") from error
    pairs = (line.partition(":") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _raw(pattern: re.Pattern[str], disposition: str) -> str | None:
    found = pattern.search(disposition)
    if found is None:
        return None
    text = _ESCAPED.sub(r"\1", found[1])
    for written, meant in _BY_FORMS.items():
        text = text.replace(written, meant)
    return text


def _metadata(content: bytes, what: str) -> dict[str, Any]:
    try:
        value = json.loads(content or b"{}")
    except (ValueError, RecursionError) as error:
        raise _broken(what, "its metadata is no JSON") from error
    if not isinstance(value, dict):
        raise _broken(what, "its metadata is no JSON object")
    return value


def _broken(what: str, reason: str) -> SourceFailedError:
    return SourceFailedError(f"could not read the sources of {what}", reason=reason)
