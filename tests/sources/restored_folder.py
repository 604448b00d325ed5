"""What tests of restored folders share: a backup of files, and a folder that is in use."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import pytest

from holdfast.sources.files import SourceFile
from holdfast.sources.staging import FolderRestore
from holdfast.sources.tar import TarStream

JOB = "restore_1_abc"


class Backup:
    """What a backup of some files holds."""

    def __init__(self, files: Iterable[SourceFile]) -> None:
        stream = TarStream(files, [])
        self.data = stream.readall()
        self.records = stream.records

    def extract_to(self, restore: FolderRestore) -> None:
        restore.extract(io.BytesIO(self.data), self.records)

    def restore(self, target: Path, mode: str = "new") -> FolderRestore:
        with FolderRestore(target, mode, job_id=JOB) as restore:  # type: ignore[arg-type]
            self.extract_to(restore)
            assert restore.check(self.records) == []
            restore.take_place()
        return restore


def file_of(path: str, data: bytes = b"x", mode: int = 0o644) -> SourceFile:
    return SourceFile(path, "file", mode, content=data)


def link_of(path: str, target: str) -> SourceFile:
    return SourceFile(path, "link", 0o777, link_target=target)


NEW = Backup([file_of("a.ts", b"new"), SourceFile("b", "folder", 0o755), file_of("b/c.ts", b"new")])


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """A folder that is in use."""
    path = tmp_path / "live"
    path.mkdir(mode=0o750)
    (path / "a.ts").write_bytes(b"old")
    return path
