"""Single files that are replaced where they are, as a restore of configuration does, and all of it undone when asked.

A new file is written beside the former one, made durable, read back, and renamed over it, so there is never half a file. What it
replaces is kept first. A link is never written through: where one is, only another link may come.
"""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from holdfast.errors import BusyError, HoldfastError, NotFoundError, RefusedError, WorkFailedError
from holdfast.private_folder import make_private_folder
from holdfast.repository.intake import Reads
from holdfast.sources.comparing import RESTORED_BITS
from holdfast.sources.files import shown
from holdfast.sources.placing import only_one_at, sync_path, write_errors
from holdfast.sources.replaced import Journal, Replaced

_BLOCK_BYTES = 1 << 20
_NAME_BYTES = 255

Make = Callable[[Path, os.stat_result | None], None]


def replace_file(path: Path, content: bytes | Reads, mode: int, *, keep_in: Path) -> Path | None:
    """Put a file where one may be; return where that one is kept. The new file has that one's owner, where this user may.

    Raises RefusedError where something else than a file is, BusyError where it changed meanwhile, SourceDeniedError,
    WorkFailedError. `keep_in` is a folder for everything that is to be undone at once; it is made where it is missing.
    """

    def make(beside: Path, former: os.stat_result | None) -> None:
        _write(beside, io.BytesIO(content) if isinstance(content, bytes) else content, mode, former)

    return _replace(path, keep_in, make, may_be=(stat.S_IFREG,))


def replace_link(path: Path, target: str, *, keep_in: Path) -> Path | None:
    """Put a link where a file or a link may be; the rest as `replace_file`."""
    return _replace(path, keep_in, lambda beside, _: beside.symlink_to(target), may_be=(stat.S_IFREG, stat.S_IFLNK))


def roll_back(keep_in: Path) -> list[Path]:
    """Undo all that was replaced with this `keep_in`, the last first; return what was brought back or removed.

    What it takes away is kept there too, as `….undone`. It may be done again after a death. What can't be undone is passed
    over, and the first such error raised at the end. Raises NotFoundError, DamagedError.
    """
    undone: list[Path] = []
    errors: list[HoldfastError] = []
    with write_errors(keep_in, "read"), only_one_at(_existing(keep_in)):
        journal = Journal.read(keep_in)
        for number, entry in reversed(list(enumerate(journal.entries))):
            if entry.state == "undone":
                continue
            try:
                with write_errors(Path(entry.path), "rolled back"):
                    _undo(entry, keep_in)
                    journal.become(number, "undone")
            except HoldfastError as error:
                errors.append(error)
            else:
                undone += [Path(entry.path)] if entry.state == "kept" else []
    if errors:
        raise errors[0]
    return undone


def _replace(path: Path, keep_in: Path, make: Make, *, may_be: tuple[int, ...]) -> Path | None:
    path = path.absolute()
    with write_errors(path, "replaced"):
        make_private_folder(keep_in)
        with only_one_at(keep_in):
            journal = Journal.open(keep_in)
            former = _former(path, may_be)
            entry = _entry(path, len(journal.entries), former)
            number = journal.add(entry)
            for folder in entry.folders:
                Path(folder).mkdir(exist_ok=True)
            beside, kept = path.with_name(entry.beside), None if entry.kept is None else keep_in / entry.kept
            try:
                make(beside, former)
                if kept is not None:
                    _duplicate(path, kept)
                if _identity(_former(path, may_be)) != _identity(former):
                    raise BusyError(f"{shown(str(path))} was not replaced", reason="another changed it at the same time")
                journal.become(number, "kept")
                beside.replace(path)
            finally:
                beside.unlink(missing_ok=True)
            sync_path(path.parent)
    return kept


def _entry(path: Path, number: int, former: os.stat_result | None) -> Replaced:
    missing = [str(folder) for folder in reversed(path.parents) if not folder.exists()]
    ending = f".holdfast-{secrets.token_hex(4)}"
    cut = os.fsdecode(os.fsencode(path.name)[: _NAME_BYTES - len(ending) - 1])
    return Replaced(str(path), None if former is None else f"{number:04}", f".{cut}{ending}", missing)


def _former(path: Path, may_be: tuple[int, ...]) -> os.stat_result | None:
    """Look at what is there. Raises RefusedError where that is nothing that may be replaced."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    if stat.S_IFMT(found.st_mode) in may_be:
        return found
    if stat.S_ISLNK(found.st_mode):
        raise RefusedError(
            f"{shown(str(path))} is a link, and the backup has a file",
            reason="nothing is written through a link",
            next_step="Remove the link, or put the file where it leads yourself",
        )
    raise RefusedError(f"{shown(str(path))} is in the way of a file of the backup", reason="it is no file itself")


def _identity(found: os.stat_result | None) -> tuple[int, ...]:
    return () if found is None else (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _write(beside: Path, content: Reads, mode: int, former: os.stat_result | None) -> None:
    """Write a file durably with its mode, and the former one's owner, and read it back."""
    digest = hashlib.sha256()
    handle = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w+b") as file:
        while block := content.read(_BLOCK_BYTES):
            digest.update(block)
            file.write(block)
        file.flush()
        if former is not None:
            with suppress(PermissionError):
                os.fchown(handle, former.st_uid, former.st_gid)
        os.fchmod(handle, mode & RESTORED_BITS)
        os.fsync(handle)
        file.seek(0)
        if hashlib.file_digest(file, "sha256").digest() != digest.digest():
            raise WorkFailedError("a file did not come back from the disk as it was written", reason="the disk is failing")


def _duplicate(path: Path, other: Path) -> None:
    """Have the same file, or link, under another name: itself where both are on one file system, else a copy."""
    other.unlink(missing_ok=True)  # of a try that died
    try:
        os.link(path, other, follow_symlinks=False)
    except OSError:
        shutil.copy2(path, other, follow_symlinks=False)
        found = path.lstat()
        with suppress(PermissionError):
            os.chown(other, found.st_uid, found.st_gid, follow_symlinks=False)
        if not other.is_symlink():
            sync_path(other)
    sync_path(other.parent)


def _undo(entry: Replaced, keep_in: Path) -> None:
    path = Path(entry.path)
    beside = path.with_name(entry.beside)
    if entry.state == "kept":
        there = _former(path, (stat.S_IFREG, stat.S_IFLNK))
        _keep_undone(path, there, keep_in / f"{entry.kept or entry.beside}.undone")
        if entry.kept is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            _duplicate(_existing(keep_in / entry.kept), beside)
            beside.replace(path)
        elif there is not None:
            path.unlink()
    if path.parent.exists():
        beside.unlink(missing_ok=True)  # the rest of a death, or of a rename of a file to itself
        sync_path(path.parent)
    for folder in reversed(entry.folders):
        with suppress(OSError):  # others use it by now
            Path(folder).rmdir()


def _keep_undone(path: Path, there: os.stat_result | None, undone: Path) -> None:
    if there is not None and not os.path.lexists(undone):
        _duplicate(path, undone)


def _existing(place: Path) -> Path:
    if not os.path.lexists(place):
        raise NotFoundError(f"there is no {shown(str(place))}, so what was replaced can't be brought back")
    return place
