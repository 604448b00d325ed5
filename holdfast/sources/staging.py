"""Restoring a folder: it is built beside its target, hidden and private, and takes the target's place only when it is whole.

Whatever happens before leaves the target as it was, and nothing beside it: a folder of a process that was killed lacks the lock
that a living one holds, and the next restore removes it. Nothing is ever written through a link that a backup brought.
"""

from __future__ import annotations

import fcntl
import io
import logging
import os
import re
import shutil
import stat
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from holdfast.errors import (
    BusyError,
    DamagedError,
    NotFoundError,
    RefusedError,
    SourceDeniedError,
    SourceFailedError,
    TargetNotEmptyError,
    UnsafePathError,
)
from holdfast.jobs import checked_job_id
from holdfast.repository.intake import Reads
from holdfast.sources.comparing import RESTORED_BITS, differences
from holdfast.sources.contract import LeftOut
from holdfast.sources.files import FileKind, FileRecord, SourceFile, shown
from holdfast.sources.placing import only_one_at, sync_tree, take_new_place, take_over, write_errors
from holdfast.sources.tar import TarStream, checked_path, read_tar
from holdfast.sources.tree import walk

log = logging.getLogger(__name__)

_NAME_BYTES = 255
_BLOCK_BYTES = 1 << 20
_FOLDER_MODE = 0o755  # of folders that a backup does not name: the root of a new tree, and what leads to a function


class FolderRestore:
    """A folder on its way to `target`; a context manager. Leaving it without `take_place` leaves nothing behind.

    `new` makes a folder that is not there yet; `promote` puts it in the place of one, which is `kept`. Entering raises what
    `preflight` raises, and BusyError where another restore to the same target is under way. Threads may extract at once.
    """

    def __init__(self, target: Path, mode: Literal["new", "promote"], *, job_id: str) -> None:
        target = target.expanduser().absolute()
        if target.name in ("", ".."):
            raise RefusedError(f"nothing can be restored to {target}", reason="the folder itself has to have a name")
        self.target = target.parent.resolve() / target.name
        self.mode = mode
        self.kept: Path | None = None
        self.notes: list[str] = []
        self.root_mode = _FOLDER_MODE
        """The mode of a new folder; one that takes the place of another has that one's."""
        cut = os.fsencode(self.target.name)[: _NAME_BYTES - len(f"..holdfast-{job_id}")]
        self._prefix = f".{os.fsdecode(cut)}.holdfast-"
        self.folder = self.target.with_name(self._prefix + checked_job_id(job_id))
        self._held = -1
        self._lock = threading.Lock()
        self._made: dict[str, FileKind] = {}
        self._folders: dict[str, SourceFile] = {}

    def preflight(self) -> None:
        """Refuse what can't end well. Raises NotFoundError, SourceDeniedError, RefusedError, TargetNotEmptyError."""
        parent, target = self.target.parent, self.target
        if not parent.is_dir():
            raise NotFoundError(f"there is no folder {parent} to restore into", next_step="Make it, or choose another")
        if not os.access(parent, os.W_OK | os.X_OK):
            raise SourceDeniedError(f"nothing can be restored into {parent}", reason="this user may not write there")
        if target.is_symlink():
            raise RefusedError(f"{target} is a link", next_step=f"Restore to where it leads: {target.resolve()}")
        if target.is_mount():
            raise RefusedError(f"{target} is a mount point, and can't be renamed", next_step="Restore to a folder within it")
        if target.exists() and not target.is_dir():
            raise TargetNotEmptyError(f"{target} exists and is no folder")
        if self.mode == "new" and target.exists() and any(target.iterdir()):
            raise TargetNotEmptyError(
                f"the folder {target} exists and is not empty",
                next_step="Choose another, or use the mode promote: it puts the restored one in its place, and keeps the former",
            )

    def __enter__(self) -> Self:
        self.preflight()
        with write_errors(self.target, "restored"), only_one_at(self.target.parent):
            self._remove_abandoned()
            self.folder.mkdir(mode=0o700)
            self._held = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            _try_lock(self._held)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        _remove(self.folder)
        os.close(self._held)
        self._held = -1

    def extract(self, stream: Reads, records: Sequence[FileRecord]) -> None:
        """Write what a tar holds; `records` say what that is. Raises DamagedError, UnsafePathError; see `write`."""
        paths = []
        for file, content in read_tar(stream):
            self._write(file, content)
            paths.append(file.path)
        if paths != [record.path for record in records]:
            raise DamagedError("a tar does not hold the files that the truth names")

    def write(self, path: str, data: bytes, mode: int) -> None:
        """Write one document. Raises WorkFailedError where the disk is full, SourceDeniedError."""
        self._write(SourceFile(checked_path(path), "file", mode, time.time_ns()), io.BytesIO(data))

    def carry_over(self, leave: Callable[[str], bool]) -> list[FileRecord]:
        """Copy from the target as it is now all that `leave` does not say yes to; return what that is, for `check`."""
        return self.carry_over_files(walk(self.target, leave=leave))

    def carry_over_files(self, files: Iterable[SourceFile]) -> list[FileRecord]:
        """Copy these files, which are the target's as it is now; return what they are, for `check`."""
        left_out: list[LeftOut] = []
        stream = TarStream(files, left_out)
        self.extract(stream, stream.records)
        if left_out:
            raise SourceFailedError(f"{self.target} can't be carried over", reason=str(left_out[0]))
        return stream.records

    def check(self, records: Sequence[FileRecord]) -> list[str]:
        """Read everything back and compare it with the truth; return each difference as a text."""
        self._settle()
        return differences(self.folder, records)

    def take_place(self) -> None:
        """Make all durable, then give it the target's name. Raises TargetNotEmptyError, SourceDeniedError, WorkFailedError."""
        self._settle()
        with write_errors(self.target, "put in place"), only_one_at(self.target.parent):
            self.preflight()
            live = self.target.stat() if self.target.exists() else None
            self._dress_as(live)
            sync_tree(self.folder)
            if live is not None and self.mode == "promote":
                self.kept = take_over(self.folder, self.target)
            else:
                take_new_place(self.folder, self.target)

    def _write(self, file: SourceFile, content: Reads | None) -> None:
        with write_errors(self.target / file.path, "restored"):
            with self._lock:
                self._claim(file)
            place = self.folder / file.path
            if file.kind == "link":
                place.symlink_to(file.link_target or "")
                os.utime(place, ns=(file.modified_ns, file.modified_ns), follow_symlinks=False)
            elif content is not None:
                _write_file(place, file, content)

    def _claim(self, file: SourceFile) -> None:
        """Make the folders that lead to a file, or the folder that it is; let nothing come twice, or through a link."""
        for end, letter in enumerate(file.path):
            if letter == "/":
                self._need_folder(file.path[:end], file.path)
        if file.path in (self._folders if file.kind == "folder" else self._made):
            raise DamagedError(f"{shown(file.path)} comes twice in what is restored")
        if file.kind == "folder":
            self._need_folder(file.path, file.path)
            self._folders[file.path] = file
        self._made[file.path] = file.kind
        if file.kind != "link" and file.mode & ~RESTORED_BITS:
            self.notes.append(f"{shown(file.path)}: set-user-id and set-group-id were not restored (its mode was {file.mode:o})")

    def _need_folder(self, folder: str, path: str) -> None:
        if folder not in self._made:
            (self.folder / folder).mkdir(mode=0o700)
            self._made[folder] = "folder"
        elif self._made[folder] != "folder":
            raise UnsafePathError(
                f"{shown(path)} can't be restored", reason=f"{shown(folder)} is a {self._made[folder]}, and no folder"
            )

    def _settle(self) -> None:
        """Give the folders their modes and times, now that nothing comes into them any more; the deepest first."""
        with write_errors(self.target, "restored"):
            for path in sorted(self._made, key=lambda path: path.count("/"), reverse=True):
                if self._made[path] != "folder":
                    continue
                place, file = self.folder / path, self._folders.get(path)
                place.chmod(_FOLDER_MODE if file is None else file.mode & RESTORED_BITS)
                if file is not None:
                    os.utime(place, ns=(file.modified_ns, file.modified_ns))

    def _dress_as(self, live: os.stat_result | None) -> None:
        """Give the root the mode of the folder that it replaces, and all of it that one's owner, where this user may."""
        if live is not None and os.geteuid() == 0:
            for file in walk(self.folder):
                os.chown(self.folder / file.path, live.st_uid, live.st_gid, follow_symlinks=False)
            os.chown(self.folder, live.st_uid, live.st_gid)
        self.folder.chmod(self.root_mode if live is None else stat.S_IMODE(live.st_mode))

    def _remove_abandoned(self) -> None:
        """Remove what a killed restore to the same target left. Raises BusyError where one is alive."""
        ours = re.compile(re.escape(self._prefix) + r"[A-Za-z0-9_-]+")
        for found in self.target.parent.iterdir():
            if not ours.fullmatch(found.name) or found.is_symlink() or not found.is_dir():
                continue
            handle = os.open(found, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if not _try_lock(handle):
                    raise BusyError(
                        f"another restore to {self.target} is under way",
                        reason=f"it works in {found}",
                        next_step="Try again when it has ended; were it dead on another host, remove that folder",
                    )
                _remove(found)
            finally:
                os.close(handle)


def _write_file(place: Path, file: SourceFile, content: Reads) -> None:
    handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as written:
        while block := content.read(_BLOCK_BYTES):
            written.write(block)
        written.flush()
        os.fchmod(handle, file.mode & RESTORED_BITS)
        os.utime(handle, ns=(file.modified_ns, file.modified_ns))


def _try_lock(handle: int) -> bool:
    """Hold it until it is closed; False where another does, or where locks are not known."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove(folder: Path) -> None:
    """Remove a folder of ours, if it is there, whatever modes the folders in it have."""
    try:
        for place, names, _ in os.walk(folder):
            for inner in (Path(place, name) for name in names):
                if not inner.is_symlink():
                    inner.chmod(0o700)
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        log.warning("the folder %s of a restore that was given up could not be removed: %s", folder, error.strerror)
