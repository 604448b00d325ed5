"""What of a folder is not known to be on disk yet, and getting it there.

A long backup is synced batch by batch as it goes, so that neither the notes nor the wait at the end grow long. Who puts goes on
meanwhile, by one batch at most. What could not be synced is told to who puts or syncs next, and stays noted. A disk that failed
once is told to all who come later, too: Linux says so of a file only once and forgets what it could not write, so that the next
try seems to succeed and proves nothing.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

_BATCH = 128
_THREADS = 8  # the waits overlap, and one journal commit serves many files


class Unsynced:
    """Files and folders that are still to be synced; any thread may add to them or sync them."""

    def __init__(self, folders: Iterable[Path] = ()) -> None:
        self._files: set[Path] = set()
        self._folders = set(folders)
        self._noted = False
        self._lock = threading.Lock()
        self._turn = threading.Lock()  # one sync at a time, so that what another thread is at is durable when ours returns
        self._batch: set[Path] = set()  # under way
        self._background: Future[None] | None = None
        self._failure: OSError | None = None  # the first that the disk told

    def __len__(self) -> int:
        return len(self._files)

    def add(self, file: Path, folders: Iterable[Path]) -> None:
        """Note a file that was put, found or deleted, and the folders on the way to it.

        Raises OSError of an earlier batch or sync, where this one fills a batch.
        """
        with self._lock:
            self._noted = True
            self._files.add(file)
            self._folders.update(folders)
            if len(self._files) < _BATCH:
                return
        with self._turn:
            self._await_background()
            with self._taken() as (batch, _):
                pool = ThreadPoolExecutor(1, "holdfast-sync")
                self._batch, self._background = batch, pool.submit(self._sync_all, batch)
                pool.shutdown(wait=False)

    def sync(self) -> bool:
        """Get all to disk, files before the folders that name them; tell whether a file was noted since.

        Raises OSError; where the disk has failed once, for good: nothing may be committed as if it had not.
        """
        with self._turn:
            self._await_background()
            noted, self._noted = self._noted, False
            with self._taken(with_folders=True) as (files, folders):
                self._sync_all(files)
                self._sync_all(folders)
        return noted or bool(files)

    def _await_background(self) -> None:
        """Wait for the batch under way, and raise what it or any before it failed with."""
        background, self._background = self._background, None
        try:
            if background is not None:
                background.result()
        except BaseException:
            with self._lock:
                self._files |= self._batch
            raise
        if (failure := self._failure) is not None:
            raise OSError(failure.errno, failure.strerror, failure.filename) from failure

    @contextmanager
    def _taken(self, *, with_folders: bool = False) -> Iterator[tuple[set[Path], set[Path]]]:
        """Take what is noted, for good if the block ends well."""
        files: set[Path] = set()
        folders: set[Path] = set()
        with self._lock:
            files, self._files = self._files, files
            if with_folders:
                folders, self._folders = self._folders, folders
        try:
            yield files, folders
        except BaseException:
            with self._lock:
                self._files |= files
                self._folders |= folders
            raise

    def _sync_all(self, paths: Iterable[Path]) -> None:
        with ThreadPoolExecutor(_THREADS) as pool:
            for _ in pool.map(self._sync_path, paths):
                pass

    def _sync_path(self, path: Path) -> None:
        """Get one file or folder to disk; nothing where it was deleted since: then its folder is synced."""
        try:
            handle = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return
        try:
            os.fsync(handle)
        except OSError as error:
            error.filename = str(path)
            with self._lock:
                self._failure = self._failure or error
            raise
        finally:
            os.close(handle)
