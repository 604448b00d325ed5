"""A folder brought to another place: staged beside it, compared digest by digest, put there at once; what was there is kept."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from holdfast import figures
from holdfast.errors import MigrationDiffersError, NotFoundError, RefusedError, SourceFailedError
from holdfast.sources.comparing import RESTORED_BITS, differences
from holdfast.sources.contract import LeftOut
from holdfast.sources.files import FileRecord
from holdfast.sources.staging import FolderRestore
from holdfast.sources.tar import TarStream
from holdfast.sources.tree import walk

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class DirectoryMigration:
    """One migration of a folder. `require_time` is asked again and again, and raises when the time is up."""

    source: Path
    destination: Path
    job_id: str
    require_time: Callable[[], None]

    def run(self, *, rehearsal: bool = False) -> Json:
        """Bring it, and say where what was there is kept; a rehearsal puts nothing in place.

        Raises NotFoundError, RefusedError, SourceFailedError (something can't be read), MigrationDiffersError, BusyError.
        """
        self._refuse()
        mode: Literal["new", "promote"] = "promote" if self.destination.is_dir() else "new"
        with FolderRestore(self.destination, mode, job_id=self.job_id) as restore:
            restore.root_mode = stat.S_IMODE(self.source.stat().st_mode) & RESTORED_BITS
            records = self._staged(restore)
            self._own(restore.folder)
            if problems := restore.check(records):
                raise MigrationDiffersError(
                    f"what was staged for {self.destination} is not what {self.source} holds, so it did not take its place",
                    reason="; ".join(figures.first(problems, 5)),
                    next_step="Nothing was changed; try again, and look at the disk where it happens again",
                )
            moved_on = differences(self.source, records)
            self.require_time()
            if not rehearsal:
                restore.take_place()
            return {
                "files": sum(one.kind == "file" for one in records),
                "bytes": sum(one.size_bytes for one in records),
                "kept": None if restore.kept is None else str(restore.kept),
                "notes": [*restore.notes, *_notes(moved_on)],
            }

    def _refuse(self) -> None:
        source, destination = self.source.resolve(), self.destination.parent.resolve() / self.destination.name
        if not source.is_dir():
            raise NotFoundError(f"there is no folder {self.source}")
        if source == destination or source in destination.parents or destination in source.parents:
            raise RefusedError(
                f"{self.source} can't be brought to {self.destination}", reason="one of them is, or lies within, the other"
            )

    def _staged(self, restore: FolderRestore) -> list[FileRecord]:
        left_out: list[LeftOut] = []
        stream = TarStream(walk(self.source, left_out=left_out), left_out)
        restore.extract(_Timed(stream, self.require_time), stream.records)
        if left_out:
            raise SourceFailedError(
                f"{self.source} can't be read whole, so nothing was changed",
                reason="; ".join(figures.first([str(one) for one in left_out], 5)),
                next_step="Let this user read it, or stop what writes to it",
            )
        return stream.records

    def _own(self, staged: Path) -> None:
        """Give what is staged the owners that it has at the source, where this user may."""
        if os.geteuid() != 0:
            return
        for path in ("", *(file.path for file in walk(staged))):
            owner = (self.source / path).lstat()
            os.chown(staged / path, owner.st_uid, owner.st_gid, follow_symlinks=False)


class _Timed:
    """A stream that asks for the time at each read."""

    def __init__(self, stream: TarStream, require_time: Callable[[], None]) -> None:
        self._stream = stream
        self._require_time = require_time

    def read(self, size: int = -1, /) -> bytes:
        self._require_time()
        return self._stream.read(size) or b""


def _notes(moved_on: list[str]) -> list[str]:
    """Say what of the source has changed since it was read."""
    if not moved_on:
        return []
    return [f"the source has changed meanwhile, and this is how it was: {'; '.join(figures.first(moved_on, 5))}"]
