"""Changes that are being made at this moment: private files of a home, each locked by the process that makes the change.

When the change has its line the file goes. Of a process that died the lock is gone and the file is there: then the next writer
gives it a line, which says that nobody can tell how it ended. Nothing is done before its file is durable.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from holdfast.private_folder import make_private_folder
from holdfast.repository import canonical
from holdfast.sources.placing import sync_path

Json = dict[str, Any]

UNTOLD = "its process ended before it could say how this ended: it may have been done"


class Begun:
    """The changes that are being made in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def kept(self, record: Json) -> Iterator[None]:
        """Keep the record of a change for as long as the block goes on. Raises OSError before it begins."""
        make_private_folder(self._folder)
        handle, making = tempfile.mkstemp(prefix=".", dir=self._folder)  # made with mode 0600
        path = Path(making)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            os.write(handle, canonical.to_bytes(record))
            os.fsync(handle)
            path = path.rename(self._folder / f"{record['id']}.json")  # others see it locked
            sync_path(self._folder)
            yield
        finally:
            path.unlink(missing_ok=True)
            os.close(handle)

    @contextmanager
    def abandoned(self) -> Iterator[list[Json]]:
        """Yield what processes that died were at; it is forgotten when the block ends well. Nobody else is given it meanwhile."""
        taken = [one for path in self._paths() if (one := _unlocked(path)) is not None]
        try:
            yield [record for _, _, record in taken if record is not None]
            for path, _, _ in taken:
                path.unlink(missing_ok=True)
        finally:
            for _, handle, _ in taken:
                os.close(handle)

    def _paths(self) -> list[Path]:
        try:
            return sorted(path for path in self._folder.iterdir() if path.suffix == ".json")
        except (FileNotFoundError, NotADirectoryError):
            return []


def _unlocked(path: Path) -> tuple[Path, int, Json | None] | None:
    """Lock and read a file that nobody holds; None where its process lives, or another has just taken it."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    try:
        return path, handle, canonical.from_bytes(path.read_bytes())
    except (OSError, ValueError):  # it never became durable, so nothing was begun
        return path, handle, None
