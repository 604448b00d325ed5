"""One file of the configuration as it is now, beside what is known of it from a backup."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Literal

from holdfast.errors import HoldfastError, NotFoundError
from holdfast.sources.configuration.formats import format_of, parse
from holdfast.sources.files import FileRecord
from holdfast.sources.stable import read_stably, what_it_is

FileFinding = Literal["same", "changed", "missing", "damaged", "failing", "unread", "doubtful"]
"""`doubtful`: it holds zero bytes now, and only the backup tells whether it did before. `unread`: we may not read it."""

_LARGEST_BYTES = 16 << 20


def look_at_file(place: Path, record: FileRecord, *, was_invalid: bool) -> tuple[FileFinding, str | None]:
    """Look at a file, and say why it is not well; `was_invalid` is one that was not well formed in the backup, either."""
    try:
        found = place.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return "missing", None
    except OSError as error:
        return "unread", error.strerror
    if record.kind != "file" or stat.S_ISLNK(found.st_mode):
        return _by_kind(place, record, found.st_mode)
    if not stat.S_ISREG(found.st_mode):
        return "damaged", f"it is {what_it_is(found.st_mode)} now"
    if found.st_size > _LARGEST_BYTES:
        return "changed", "it is too large for configuration, and was not read"
    return _by_content(place, record, was_invalid=was_invalid)


def _by_kind(place: Path, record: FileRecord, mode: int) -> tuple[FileFinding, str | None]:
    if record.kind == "link" and stat.S_ISLNK(mode):
        return ("same" if str(place.readlink()) == record.link_target else "changed"), None
    return "changed", "it is of another kind than it was"


def _by_content(place: Path, record: FileRecord, *, was_invalid: bool) -> tuple[FileFinding, str | None]:
    try:
        with read_stably(place) as file:
            if file.sha256 == record.sha256:
                return "same", None
            data = file.content.read()
    except NotFoundError:
        return "missing", None
    except HoldfastError as error:
        return "unread", error.reason
    if not data.strip() and record.size_bytes:
        return "damaged", "it is empty"
    kind = format_of(record.path)
    if kind is None or was_invalid:
        return ("doubtful" if b"\0" in data else "changed"), None
    if reason := parse(kind, data).invalid:
        return ("damaged" if _is_garbage(data) else "failing"), reason
    return "changed", None


def _is_garbage(data: bytes) -> bool:
    if b"\0" in data:
        return True
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False
