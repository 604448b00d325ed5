"""Storage in a folder of a local or mounted file system.

obstore writes a file `name#1` and links it into place, so an object appears whole or not at all, but it never calls
fsync. `sync` does that here, for every object put, found or deleted since the last sync, and for the folders on the way to it
(see `local_sync`). A `name#1` that a killed process left behind is no object; `tidy` removes it. `reserve#` is no object either:
it holds some space back, so that on a full disk there is room for the small objects that a prune needs to free the rest.

A locked object can't be deleted. One that is replaced, to heal it or to remove a key, stays beside as `name#kept-…` until its
lock ends, as the versions of a bucket do, and what took its place is locked in turn. Locks are heeded also by a storage that is
no longer asked to lock.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from datetime import UTC, datetime
from pathlib import Path

from obstore.store import LocalStore

from holdfast.errors import ObjectExistsError, ObjectLockedError, ObjectNotFoundError, SettingsError, StorageFullError
from holdfast.storage import local_locks
from holdfast.storage.local_sync import Unsynced
from holdfast.storage.objectstore import ObstoreStorage, checked_name

log = logging.getLogger(__name__)

_LEFT_OVER = re.compile(r".+#\d+")
_RESERVE = "reserve#"
_RESERVE_BYTES = 1 << 20
_SMALL_BYTES = 64 << 10


class LocalStorage(ObstoreStorage):
    """Keep objects as files below a folder, which is made (for this user only) where it is missing."""

    def __init__(self, path: Path | str, *, immutable_days: int = 0) -> None:
        self._root = Path(path).expanduser().absolute()
        self._immutable_days = immutable_days
        self._warned = False
        self._latest = datetime.min.replace(tzinfo=UTC)  # the latest time that the file system has told
        try:
            made = _make_folder(self._root)
            self._files = os.path.realpath(self._root)  # where obstore reads and writes, whatever a link above says later
            store = LocalStore(self._root)
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"backups can't be kept in {str(self._root)!r}",
                reason=(str(error).splitlines() or [type(error).__name__])[0],
                next_step="Set BACKUP_STORAGE_PATH to a folder that this user may write to",
            ) from error
        super().__init__(store, self._root.as_uri())
        self._unsynced = Unsynced(folder.parent for folder in made)

    @property
    def kind(self) -> str:
        return "local"

    @property
    def immutable_days(self) -> int:
        return self._immutable_days

    def get(self, name: str) -> bytes:
        """Read the file at once: of the small ones that there are most of, obstore's way costs several times as much."""
        with self._errors(name, "read"):
            try:
                with open(f"{self._files}/{checked_name(name)}", "rb", buffering=0) as file:  # noqa: PTH123  a Path costs as much
                    data = file.readall()
                    self._check_length(name, len(data), os.fstat(file.fileno()).st_size)
                    return data
            except IsADirectoryError as error:
                raise ObjectNotFoundError(f"{self.location} has no object {name!r}") from error

    def put(self, name: str, data: bytes | bytearray | memoryview, *, replace: bool = False, bulk: bool = False) -> None:
        until = self._lock_in_force(name) if replace else None
        if until is None:
            self._put(name, data, replace, bulk)
            return
        with self._errors(name, "keep a copy of"):
            self._remember(self._name(local_locks.keep_beside(self._path(name), until)))
        self._put(name, data, replace, bulk)
        self._write_lock(name, until)

    def _put(self, name: str, data: bytes | bytearray | memoryview, replace: bool, bulk: bool) -> None:
        try:
            super().put(name, data, replace=replace, bulk=bulk)
        except ObjectExistsError:
            self._remember(name)  # another process put it and may not have synced it yet
            raise
        except StorageFullError:
            if len(data) > _SMALL_BYTES or not self._give_reserve():
                raise
            super().put(name, data, replace=replace, bulk=bulk)
        self._remember(name)

    def delete(self, name: str) -> None:
        until = self._lock_in_force(name)
        if until is not None:
            raise ObjectLockedError(
                f"{name!r} in {self.location} can't be deleted before {until:%Y-%m-%d %H:%M:%S} UTC",
                reason="it was locked until then when BACKUP_IMMUTABLE_DAYS was set",
                next_step="Try again after that",
            )
        super().delete(name)
        local_locks.drop_side_file(self._path(name))
        self._remember(name)

    def lock(self, name: str, until: datetime) -> None:
        if not self._immutable_days:
            return
        if not self._warned:
            self._warned = True
            log.warning("locks in %s are a best effort: whoever may write to the folder can remove its files", self.location)
        self._write_lock(name, until)

    def locked_until(self, name: str) -> datetime | None:
        with self._errors(name, "look up the lock of"):
            return local_locks.read_lock(self._path(name))

    def sync(self) -> None:
        with self._errors("what was put", "make durable"):
            noted = self._unsynced.sync()
        if noted:
            self._take_reserve()

    def tidy(self, before: datetime) -> int:
        removed = 0
        for folder, _, files in os.walk(self._root):
            for file in files:
                path = Path(folder, file)
                if "#" not in file or _modified(path) >= before:
                    continue
                if _LEFT_OVER.fullmatch(file) or local_locks.is_over(path, before):
                    path.unlink(missing_ok=True)
                    removed += 1
        return removed

    def _path(self, name: str) -> Path:
        return self._root / checked_name(name)

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _write_lock(self, name: str, until: datetime) -> None:
        path = self._path(name)
        with self._errors(name, "lock"):
            local_locks.write_lock(path, until)
        self._remember(name)
        if local_locks.side_file(path).exists():
            self._remember(self._name(local_locks.side_file(path)))

    def _lock_in_force(self, name: str) -> datetime | None:
        """Tell until when an object is locked, if that is later than now by the file system's clock."""
        until = self.locked_until(name)
        if until is None or until <= self._latest:
            return None
        self._latest = max(self._latest, self.clock())
        return until if until > self._latest else None

    def _take_reserve(self) -> None:
        """Hold space back, as much as there is of what is lacking: a full disk left only a part of it the last time."""
        path = self._root / _RESERVE
        with contextlib.suppress(OSError):
            held_bytes = path.stat().st_size if path.exists() else 0
            if held_bytes >= _RESERVE_BYTES:
                return
            handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.pwrite(handle, bytes(_RESERVE_BYTES - held_bytes), held_bytes)
            finally:
                os.close(handle)

    def _give_reserve(self) -> bool:
        try:
            (self._root / _RESERVE).unlink()
        except OSError:
            return False
        return True

    def _remember(self, name: str) -> None:
        """Note what is to be synced."""
        with self._errors("what was put", "make durable"):
            self._unsynced.add(self._root / name, (self._root / parent for parent in Path(name).parents))


def _make_folder(path: Path) -> list[Path]:
    """Make the folder and its parents; return those that were made."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed([path, *missing[1:]]):
        folder.mkdir(mode=0o700, exist_ok=True)  # fails where a file has the folder's name
    return missing


def _modified(path: Path) -> datetime:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except FileNotFoundError:
        return datetime.max.replace(tzinfo=UTC)
