"""A file as a source has it, and what is remembered of it: the truth that every restore is compared with."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

FileKind = Literal["file", "folder", "link"]
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file, folder or symbolic link to store.

    `path` is relative, of `/`-separated parts; bytes of a name that are no UTF-8 are surrogates, as `os.fsdecode` has them.
    `mode` are the permission bits. `content` is a file's: bytes, or where to read them from (until two looks agree).
    """

    path: str
    kind: FileKind
    mode: int
    modified_ns: int = 0
    content: bytes | Path | None = None
    link_target: str | None = None


@dataclass(frozen=True, slots=True)
class FileRecord:
    """What was stored of a file; `sha256` (hex) and `size_bytes` are of its content as it was read at the source."""

    path: str
    kind: FileKind
    mode: int
    size_bytes: int = 0
    sha256: str | None = None
    link_target: str | None = None

    def to_json(self) -> Json:
        """Write it as the truth holds it: a name that is no UTF-8 as base64, under `path_base64` or `link_target_base64`."""
        value: Json = {"kind": self.kind, "mode": self.mode, "sha256": self.sha256, "size_bytes": self.size_bytes}
        value |= _named("path", self.path)
        if self.link_target is not None:
            value |= _named("link_target", self.link_target)
        return value

    @classmethod
    def from_json(cls, value: Json) -> FileRecord:
        """Raises KeyError, ValueError for what `to_json` did not write."""
        return cls(
            path=_name(value, "path") or "",
            kind=value["kind"],
            mode=int(value["mode"]),
            size_bytes=int(value["size_bytes"]),
            sha256=value["sha256"],
            link_target=_name(value, "link_target"),
        )


def shown(path: str) -> str:
    """Return a path as a person can read it, whatever bytes it has."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _named(key: str, path: str) -> Json:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return {f"{key}_base64": base64.b64encode(os.fsencode(path)).decode("ascii")}
    return {key: path}


def _name(value: Json, key: str) -> str | None:
    if f"{key}_base64" in value:
        return os.fsdecode(base64.b64decode(value[f"{key}_base64"], validate=True))
    name = value.get(key)
    return None if name is None else str(name)
