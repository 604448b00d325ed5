"""Locks of files: until when one may not be deleted or replaced, kept with the file so that it outlives the process.

A best effort: it holds back Holdfast, and whoever deletes without thinking, for the file is made read-only too; who may write
to the folder can still remove anything in it. The end of a lock is the file's attribute `user.holdfast.locked_until`, or the
text of `name#locked` where the file system knows no attributes. The file's bytes and its time of modification stay.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

log = logging.getLogger(__name__)

_ATTRIBUTE = "user.holdfast.locked_until"
_SIDE = "#locked"
_KEPT = re.compile(r".+#kept-(\d{8}T\d{6}Z)-[0-9a-f]{8}")
_KEPT_TIME = "%Y%m%dT%H%M%SZ"


def read_lock(path: Path) -> datetime | None:
    """Tell until when a file is locked, though that may be over; None where it was never locked, or is not there."""
    times = [_time(text, path) for text in (_attribute(path), _side_text(path)) if text is not None]
    return max((found for found in times if found is not None), default=None)


def write_lock(path: Path, until: datetime) -> None:
    """Lock a file at least until then. Raises FileNotFoundError, and OSError where its end can't be written down."""
    with _alone(path):
        found = read_lock(path)
        if found is None or found < until:
            text = until.astimezone(UTC).isoformat().encode("ascii")
            if not _set_attribute(path, text):
                _write_side_file(path, text)
    with suppress(OSError):  # another user's file, or a file system without modes: the lock itself is written down
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)


def side_file(path: Path) -> Path:
    """The file beside another that holds the end of its lock; mostly there is none."""
    return path.with_name(path.name + _SIDE)


def drop_side_file(path: Path) -> None:
    """Remove what is left of the lock of a file that was deleted; one that stays is over, and is tidied away later."""
    with suppress(OSError):
        side_file(path).unlink()


def keep_beside(path: Path, until: datetime) -> Path:
    """Keep a locked file under another name, for what comes in its place; return that name."""
    end = (until.astimezone(UTC) + timedelta(seconds=1)).strftime(_KEPT_TIME)  # whole seconds, and never too early
    kept = path.with_name(f"{path.name}#kept-{end}-{secrets.token_hex(4)}")
    try:
        os.link(path, kept)
    except OSError:  # a file system without links, or a full disk, which the copy finds too
        shutil.copy2(path, kept)
    return kept


def is_over(path: Path, before: datetime) -> bool:
    """Tell whether a file is what a lock has left: one kept beside whose time is up, or a lock without its file."""
    kept = _KEPT.fullmatch(path.name)
    if kept:
        return datetime.strptime(kept[1], _KEPT_TIME).replace(tzinfo=UTC) < before
    return path.name.endswith(_SIDE) and not path.with_name(path.name.removesuffix(_SIDE)).exists()


def _attribute(path: Path) -> bytes | None:
    try:
        return os.getxattr(path, _ATTRIBUTE)
    except OSError:  # no file, no such attribute, or no attributes at all
        return None


def _side_text(path: Path) -> bytes | None:
    try:
        return side_file(path).read_bytes()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            return None
        raise


def _time(text: bytes, path: Path) -> datetime | None:
    try:
        return datetime.fromisoformat(text.decode("ascii"))
    except ValueError:  # cut short by a loss of power, so nobody was told yet that it is locked
        log.warning("the lock of %s can't be read, and counts as none", path)
        return None


def _set_attribute(path: Path, text: bytes) -> bool:
    mode = stat.S_IMODE(path.stat().st_mode)
    try:
        if not mode & stat.S_IWUSR:  # locked before: only a file that may be written takes attributes
            path.chmod(mode | stat.S_IWUSR)
        os.setxattr(path, _ATTRIBUTE, text)
    except OSError:
        return False
    return True


def _write_side_file(path: Path, text: bytes) -> None:
    """Write it whole or not at all; the name of the half is one that is tidied away."""
    half = path.with_name(f"{path.name}#{10**6 + secrets.randbelow(10**12)}")
    try:
        half.write_bytes(text)
        half.replace(side_file(path))
    except BaseException:
        half.unlink(missing_ok=True)
        raise


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let nobody else lock the file at the same time, lest the earlier of two ends wins."""
    handle = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems can't; then two at once differ by seconds at most
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
