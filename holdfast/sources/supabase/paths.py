"""Paths that a service gives to files of a function: made relative, and refused where one would leave the function's folder."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from urllib.parse import unquote

from holdfast.errors import UnsafePathError

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LONGEST = 4096  # no system takes more
_ADDRESS = re.compile(r"file:(//[^/]*)?")
_DRIVE = re.compile(r"[A-Za-z]:")


def relative_path(name: str, where: str) -> str:
    """Make the name of a file a relative path; a `file://` address loses what is before its path. Raises UnsafePathError."""
    path = without_address(name).lstrip("/") if name.startswith("file:") else name
    parts = [part for part in path.split("/") if part not in {"", "."}]
    reason = None
    if len(path.encode()) > _LONGEST:
        reason = "it is too long"
    elif not parts or path.endswith("/"):
        reason = "it names no file"
    elif path.startswith(("/", "\\")) or _DRIVE.match(path):
        reason = "it is absolute"
    elif ".." in re.split(r"[/\\]", path):
        reason = "it has '..' in it"
    elif _CONTROL.search(path):
        reason = "it has control characters in it"
    if reason is not None:
        raise UnsafePathError(f"{where} has a file named {name[:200]!r}, which is refused", reason=reason)
    return "/".join(parts)


def without_address(text: str) -> str:
    """Return the path of a `file://` address; of a path, itself."""
    return unquote(_ADDRESS.sub("", text)) if _ADDRESS.match(text) else text


def require_distinct(paths: Iterable[str], where: str) -> None:
    """Raise UnsafePathError where two files would be one, or one would lie within another."""
    seen: set[str] = set()
    for path in paths:
        if path in seen:
            raise UnsafePathError(f"{where} has two files named {path!r}", reason="one would replace the other")
        seen.add(path)
    for path in seen:
        above = next((str(one) for one in PurePosixPath(path).parents if str(one) in seen), None)
        if above is not None:
            raise UnsafePathError(f"{where} has a file {above!r} and a file {path!r}", reason="the first can't be a folder, too")
