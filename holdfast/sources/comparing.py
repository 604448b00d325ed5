"""A folder against the truth: every file is read again, and whatever differs from what was stored is said."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from holdfast.sources.contract import LeftOut
from holdfast.sources.files import FileRecord, SourceFile, shown
from holdfast.sources.tree import walk

RESTORED_BITS = 0o1777
"""What of a mode a restore brings back: never set-user-id or set-group-id, which give rights that nobody asked for."""


def differences(root: Path, records: Iterable[FileRecord]) -> list[str]:
    """Compare kind, mode, size, content and link target of all that is in a folder; return each difference as a text."""
    expected = {record.path: record for record in records}
    implied = {path[:end] for path in expected for end in _ends(path)} - expected.keys()
    left_out: list[LeftOut] = []
    problems: list[str] = []
    for file in walk(root, left_out=left_out):
        record = expected.pop(file.path, None)
        if record is not None:
            problems += [f"{shown(file.path)}: {problem}" for problem in _compare(root / file.path, file, record)]
        elif file.path not in implied or file.kind != "folder":
            problems.append(f"{shown(file.path)}: it is there, and was not backed up")
    unread = {one.name for one in left_out}
    problems += [f"{one.name}: it can't be read again: {one.reason}" for one in left_out]
    return problems + [f"{shown(path)}: it is missing" for path in expected if shown(path) not in unread]


def _compare(place: Path, file: SourceFile, record: FileRecord) -> list[str]:
    if file.kind != record.kind:
        return [f"it is a {file.kind}, and was a {record.kind}"]
    if file.kind == "link":  # its mode means nothing
        return [] if file.link_target == record.link_target else ["it leads elsewhere"]
    problems = []
    if file.mode != record.mode & RESTORED_BITS:
        problems.append(f"its mode is {file.mode:o}, and should be {record.mode & RESTORED_BITS:o}")
    if file.kind == "file":
        problems += _compare_content(place, record)
    return problems


def _compare_content(place: Path, record: FileRecord) -> list[str]:
    try:
        with place.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
            size_bytes = content.tell()
    except OSError as error:
        return [f"it can't be read again: {error.strerror}"]
    if size_bytes != record.size_bytes:
        return [f"it has {size_bytes} bytes, and had {record.size_bytes}"]
    return [] if digest == record.sha256 else ["its content is another"]


def _ends(path: str) -> list[int]:
    """Where the names of the folders end that a path lies in."""
    return [place for place, letter in enumerate(path) if letter == "/"]
