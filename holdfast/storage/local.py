"""Storage in a folder of a local or mounted file system.

obstore writes a file `name#1` and links it into place, so an object appears whole or not at all, but it never calls
fsync. `sync` does that here, for every object put, found or deleted since the last sync, and for the folders on the way to it. A
`name#1` that a killed process left behind is no object; `tidy` removes it. `reserve#` is no object either: it holds some space
back, so that on a full disk there is room for the small objects that a prune needs to free the rest.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from obstore.store import LocalStore

from holdfast.errors import ObjectExistsError, SettingsError, StorageFullError
from holdfast.storage.objectstore import ObstoreStorage

_LEFT_OVER = re.compile(r".+#\d+")
_RESERVE = "reserve#"
_RESERVE_BYTES = 1 << 20
_SMALL_BYTES = 64 << 10
_BATCH = 512
_SYNC_THREADS = 8  # the waits overlap, and one journal commit serves many files


class LocalStorage(ObstoreStorage):
    """Keep objects as files below a folder, which is made (for this user only) where it is missing."""

    def __init__(self, path: Path | str) -> None:
        self._root = Path(path).expanduser().absolute()
        self._unsynced: set[str] = set()
        self._lock = threading.Lock()
        self._syncing = threading.Lock()
        try:
            made = _make_folder(self._root)
            store = LocalStore(self._root)
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"backups can't be kept in {str(self._root)!r}",
                reason=(str(error).splitlines() or [type(error).__name__])[0],
                next_step="Set BACKUP_STORAGE_PATH to a folder that this user may write to",
            ) from error
        super().__init__(store, self._root.as_uri())
        self._unsynced_folders: set[Path] = {folder.parent for folder in made}

    @property
    def kind(self) -> str:
        return "local"

    def put(self, name: str, data: bytes | bytearray | memoryview, *, replace: bool = False, bulk: bool = False) -> None:
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
        super().delete(name)
        self._remember(name)

    def sync(self) -> None:
        with self._syncing:  # so that a batch which another thread is at is durable too when this returns
            with self._lock:
                names, self._unsynced = self._unsynced, set()
                folders, self._unsynced_folders = self._unsynced_folders, set()
            try:
                self._sync_all(self._root / name for name in names)
                self._sync_all(folders)
            except BaseException:
                with self._lock:
                    self._unsynced |= names
                    self._unsynced_folders |= folders
                raise
        if names:
            self._take_reserve()

    def tidy(self, before: datetime) -> int:
        removed = 0
        for folder, _, files in os.walk(self._root):
            for file in files:
                path = Path(folder, file)
                if _LEFT_OVER.fullmatch(file) and _modified(path) < before:
                    path.unlink(missing_ok=True)
                    removed += 1
        return removed

    def _take_reserve(self) -> None:
        """Hold space back, where that is not done yet and there is any."""
        path = self._root / _RESERVE
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError:
            return
        try:
            os.write(handle, bytes(_RESERVE_BYTES))
        except OSError:
            path.unlink(missing_ok=True)
        finally:
            os.close(handle)

    def _give_reserve(self) -> bool:
        try:
            (self._root / _RESERVE).unlink()
        except OSError:
            return False
        return True

    def _remember(self, name: str) -> None:
        """Note what is to be synced; sync a batch of files at once, so that neither the notes nor the last sync grow long."""
        with self._lock:
            self._unsynced.add(name)
            self._unsynced_folders.update(self._root / parent for parent in Path(name).parents)
            if len(self._unsynced) < _BATCH:
                return
            batch, self._unsynced = self._unsynced, set()
        try:
            with self._syncing:
                self._sync_all(self._root / name for name in batch)
        except BaseException:
            with self._lock:
                self._unsynced |= batch
            raise

    def _sync_all(self, paths: Iterable[Path]) -> None:
        with self._errors("what was put", "make durable"), ThreadPoolExecutor(_SYNC_THREADS) as pool:
            for _ in pool.map(_sync_path, paths):
                pass


def _make_folder(path: Path) -> list[Path]:
    """Make the folder and its parents; return those that were made."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed([path, *missing[1:]]):
        folder.mkdir(mode=0o700, exist_ok=True)  # fails where a file has the folder's name
    return missing


def _sync_path(path: Path) -> None:
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return  # deleted since; its folder is synced
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _modified(path: Path) -> datetime:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except FileNotFoundError:
        return datetime.max.replace(tzinfo=UTC)
