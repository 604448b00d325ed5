"""One file, read so that what comes back is one version of it: two looks at the file agree, and its size with what was read.

A file that changes meanwhile is read again, and refused after some tries. Memory stays small: a large file goes to a nameless
temporary file while it is read.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

from holdfast.errors import HoldfastError, NotFoundError, SourceDeniedError, SourceFailedError, WorkFailedError
from holdfast.sources.files import shown

_TRIES = 5
_PAUSE_SECONDS = 0.1
_GRAIN_NS = 20_000_000  # clocks of file systems tick: a change within one tick of an earlier one leaves the same time
_MEMORY_BYTES = 4 << 20
_BLOCK_BYTES = 1 << 20


@dataclass(slots=True)
class StableFile:
    """A file as it was at one moment; `content` stands at its beginning. `close` it, or use it as a context manager."""

    mode: int
    modified_ns: int
    size_bytes: int
    sha256: str
    content: IO[bytes]

    def close(self) -> None:
        self.content.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def read_stably(path: Path) -> StableFile:
    """Read a file, never through a link. Raises NotFoundError, SourceDeniedError, SourceFailedError, each with its reason."""
    for attempt in range(_TRIES):
        time.sleep(_PAUSE_SECONDS * attempt)
        try:
            found = _read_once(path)
        except OSError as error:
            raise unreadable(path, error) from error
        if found is not None:
            return found
    raise SourceFailedError(f"{shown(str(path))} can't be read", reason=f"it changed while it was read, {_TRIES} times")


def unreadable(path: Path, error: OSError) -> HoldfastError:
    """Say what it means that the system would not let us read this."""
    what = f"{shown(str(path))} can't be read"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return NotFoundError(what, reason="it is not there any more")
    if error.errno in (errno.EACCES, errno.EPERM):
        return SourceDeniedError(what, reason="this user may not read it")
    if error.errno == errno.ELOOP:
        return SourceFailedError(what, reason="a link has taken its place")
    return SourceFailedError(what, reason=error.strerror or type(error).__name__)


def what_it_is(mode: int) -> str:
    """Name what is neither a file nor a folder nor a link."""
    kinds = {stat.S_IFSOCK: "a socket", stat.S_IFIFO: "a pipe", stat.S_IFBLK: "a device", stat.S_IFCHR: "a device"}
    return kinds.get(stat.S_IFMT(mode), "a folder" if stat.S_ISDIR(mode) else "no file")


def _read_once(path: Path) -> StableFile | None:
    """Read it once; None where the file was not the same all the time."""
    with _open(path) as file:
        before = os.fstat(file.fileno())
        _wait_for_a_tick(before)
        content = cast("IO[bytes]", tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES))  # noqa: SIM115  it is handed out
        try:
            size_bytes, sha256 = _copy(file, content, before.st_size)
            if size_bytes == before.st_size and _same(before, os.fstat(file.fileno())) and _same(before, os.lstat(path)):
                content.seek(0)
                return StableFile(stat.S_IMODE(before.st_mode), before.st_mtime_ns, size_bytes, sha256, content)
        except BaseException:
            content.close()
            raise
        content.close()
        return None


def _open(path: Path) -> IO[bytes]:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):
            raise SourceFailedError(f"{shown(str(path))} can't be read", reason=f"it is {what_it_is(mode)}")
        return os.fdopen(handle, "rb", buffering=0)
    except BaseException:
        os.close(handle)
        raise


def _copy(file: IO[bytes], content: IO[bytes], expected_bytes: int) -> tuple[int, str]:
    """Copy to the end, or to where it is longer than expected; return size and digest of what was copied."""
    digest = hashlib.sha256()
    size_bytes = 0
    while size_bytes <= expected_bytes and (block := file.read(_BLOCK_BYTES)):
        digest.update(block)
        size_bytes += len(block)
        try:
            content.write(block)
        except OSError as error:
            raise WorkFailedError(
                f"a large file can't be kept in {tempfile.gettempdir()} while it is read",
                reason=error.strerror,
                next_step="Make room there, or set TMPDIR to a folder with more",
            ) from error
    return size_bytes, digest.hexdigest()


def _wait_for_a_tick(found: os.stat_result) -> None:
    """Let a change that is still to come be told from one that was just made, by its time."""
    age_ns = time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns)
    if 0 <= age_ns < _GRAIN_NS:
        time.sleep((_GRAIN_NS - age_ns) / 1e9)


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    return _look(one) == _look(other)


def _look(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_dev, found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
