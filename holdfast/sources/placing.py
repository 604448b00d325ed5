"""A finished folder takes its place, at once and for good: another that was there stays beside, under a name that says when.

Both folders have the same parent. Where the system can exchange two names no moment is without the one or the other; elsewhere
there are two renames, and the first is undone where the second fails. A death in between loses neither folder.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from holdfast.errors import HoldfastError, NotFoundError, RefusedError, SourceDeniedError, TargetNotEmptyError, WorkFailedError
from holdfast.sources.files import shown

_NAME_BYTES = 255
_EXCHANGE = 2
_AT_CWD = -100
_NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)
_SYNC_THREADS = 8  # the waits overlap


def take_new_place(folder: Path, target: Path) -> None:
    """Give a folder the name of one that is not there, or is empty. Raises TargetNotEmptyError."""
    with write_errors(target, "put in place"):
        try:
            folder.rename(target)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise TargetNotEmptyError(f"{target} was made by another meanwhile; it was not touched") from error
            raise
        sync_path(target.parent)


def take_over(folder: Path, target: Path) -> Path:
    """Give a folder the name of one that is there; return the name under which that one is kept."""
    kept = _beside(target, "before")
    with write_errors(target, "put in place"):
        folder.rename(kept)  # so that the one that is there never has a name that a clean-up takes
        try:
            _exchange(kept, target)
        except BaseException:
            kept.rename(folder)
            raise
        sync_path(target.parent)
    return kept


def roll_back(target: Path, kept: Path | None) -> Path:
    """Bring back what a restore kept, or nothing where nothing was; return where what it had brought is now, if it was there.

    Raises NotFoundError, SourceDeniedError, WorkFailedError.
    """
    undone = _beside(target, "undone")
    with write_errors(target, "rolled back"), only_one_at(target.parent):
        if kept is None:
            target.rename(undone)
        elif not kept.is_dir() or kept.is_symlink():
            raise NotFoundError(f"there is no folder {kept}, so {target} can't be rolled back", reason="it was moved or removed")
        elif target.exists():
            _exchange(kept, target)
            kept.rename(undone)
        else:
            kept.rename(target)
        sync_path(target.parent)
    return undone


def sync_tree(root: Path) -> None:
    """Make a folder and all that is in it durable."""
    with ThreadPoolExecutor(_SYNC_THREADS) as pool:
        for folder, _, files in os.walk(root):
            paths = [Path(folder, name) for name in files]
            list(pool.map(sync_path, [path for path in paths if not path.is_symlink()]))
            sync_path(Path(folder))


def sync_path(path: Path) -> None:
    """Make a file, or a folder's list of names, durable."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def only_one_at(folder: Path) -> Iterator[None]:
    """Let nobody else of ours begin or end a restore in this folder meanwhile."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # some network file systems can't
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def write_errors(what: Path, deed: str) -> Iterator[None]:
    """Say what it means that the system would not let us write: SourceDeniedError, else WorkFailedError."""
    try:
        yield
    except OSError as error:
        raise _explained(error, what, deed) from error


def _explained(error: OSError, place: Path, deed: str) -> HoldfastError:
    what, reason = shown(str(place)), error.strerror or type(error).__name__
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return WorkFailedError(
            f"{what} can't be {deed}", reason=f"no space is left there ({reason})", next_step="Make room, then try again"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return SourceDeniedError(f"{what} can't be {deed}", reason=f"this user may not write there ({reason})")
    return WorkFailedError(f"{what} can't be {deed}", reason=reason)


def _exchange(one: Path, other: Path) -> None:
    """Let two folders have each other's name."""
    if _exchange_at_once(one, other):
        return
    between = _beside(other, "between")
    other.rename(between)
    try:
        one.rename(other)
    except BaseException:
        between.rename(other)
        raise
    between.rename(one)


def _exchange_at_once(one: Path, other: Path) -> bool:
    """Do so where the system and the file system can."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(_AT_CWD, os.fsencode(one), _AT_CWD, os.fsencode(other), _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NO_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(other))


def _beside(target: Path, word: str) -> Path:
    """Return a free name `<name>_<word>_<time>` beside the target."""
    moment = datetime.now(UTC)
    for attempt in range(1, 1000):
        ending = f"_{word}_{moment:%Y%m%dT%H%M%SZ}" + (f"_{attempt}" if attempt > 1 else "")
        path = target.with_name(os.fsdecode(os.fsencode(target.name)[: _NAME_BYTES - len(ending)]) + ending)
        if not os.path.lexists(path):
            return path
    raise RefusedError(f"there are a thousand folders kept from {word} {target} already")
