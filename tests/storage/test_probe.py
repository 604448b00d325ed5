"""A probe tells the truth about a storage, never raises for what it finds, and leaves nothing behind."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.errors import (
    DamagedError,
    HoldfastError,
    ObjectLockedError,
    SettingsError,
    StorageDeniedError,
    StorageFullError,
    StorageUnreachableError,
)
from holdfast.storage import LocalStorage, MemoryStorage, ObjectInfo, Storage
from holdfast.storage.probe import probe

_SIZE = 1 << 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "repository"


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and path.name != "reserve#")


def test_a_storage_that_works_is_measured_and_left_as_it_was(folder: Path) -> None:
    storage = LocalStorage(folder)
    storage.put("chunks/ab/x", b"precious")
    report = probe(storage, size_bytes=_SIZE)
    assert report.ok
    assert report.error is None
    assert (report.location, report.kind) == (storage.location, "local")
    assert report.put_if_absent
    assert report.listed
    assert report.deleted
    assert report.lock is None
    assert report.latency_ms is not None
    assert report.latency_ms > 0
    assert report.upload_bytes_per_second is not None
    assert report.download_bytes_per_second is not None
    assert min(report.upload_bytes_per_second, report.download_bytes_per_second) > 0
    assert _files(folder) == ["chunks/ab/x"]


def test_where_objects_are_to_be_locked_that_is_tried_too(folder: Path) -> None:
    report = probe(LocalStorage(folder, immutable_days=30), size_bytes=_SIZE)
    assert report.ok, report.error
    assert report.lock == "best effort"
    assert report.deleted
    assert _files(folder) == []


class Broken(MemoryStorage):
    """A storage that fails in one way."""

    def __init__(self, action: str, error: HoldfastError) -> None:
        super().__init__()
        self.action = action
        self.error = error

    def _fail(self, action: str) -> None:
        if action == self.action:
            raise self.error

    def put(self, name: str, data: bytes | bytearray | memoryview, *, replace: bool = False, bulk: bool = False) -> None:
        self._fail("put large" if len(data) >= _SIZE else "put")
        super().put(name, data, replace=replace, bulk=bulk)

    def get(self, name: str) -> bytes:
        self._fail("get")
        return super().get(name)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        self._fail("list")
        return super().list(prefix)

    def delete(self, name: str) -> None:
        self._fail("delete")
        super().delete(name)


@pytest.mark.parametrize(
    ("action", "error"),
    [
        ("put", StorageDeniedError("no right to write")),
        ("put large", StorageFullError("full")),
        ("get", StorageUnreachableError("no answer")),
        ("list", StorageDeniedError("no right to list")),
        ("delete", StorageDeniedError("no right to delete")),
    ],
)
def test_what_fails_is_told_with_its_own_error_and_the_rest_is_removed(action: str, error: HoldfastError) -> None:
    storage = Broken(action, error)
    report = probe(storage, size_bytes=_SIZE)
    assert not report.ok
    assert report.error is error
    assert report.deleted == (action != "delete")
    storage.action = ""
    assert [info.name for info in storage.list() if action != "delete"] == []


def test_a_storage_that_overwrites_what_it_must_not_is_no_storage_for_backups() -> None:
    class Overwrites(MemoryStorage):
        def put(self, name: str, data: bytes | bytearray | memoryview, *, replace: bool = False, bulk: bool = False) -> None:
            super().put(name, data, replace=True, bulk=bulk)

    report = probe(Overwrites(), size_bytes=_SIZE)
    assert not report.ok
    assert not report.put_if_absent
    assert "overwrote" in str(report.error)


def test_a_storage_that_gives_other_bytes_is_told_so() -> None:
    class Forgets(MemoryStorage):
        def get(self, name: str) -> bytes:
            return super().get(name)[:-1] + b"\0"

    for _ in range(2):  # one byte in 256 happens to be right
        report = probe(Forgets(), size_bytes=_SIZE)
        if not report.ok:
            break
    assert isinstance(report.error, DamagedError)


def test_a_storage_that_lists_or_deletes_only_in_appearance_is_found_out() -> None:
    class Silent(MemoryStorage):
        def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
            return iter(())

    class Keeps(MemoryStorage):
        def delete(self, name: str) -> None:
            pass

    silent, keeps = probe(Silent(), size_bytes=_SIZE), probe(Keeps(), size_bytes=_SIZE)
    assert (silent.ok, silent.listed, silent.deleted) == (False, False, True)
    assert "does not list" in str(silent.error)
    assert (keeps.ok, keeps.listed, keeps.deleted) == (False, True, False)
    assert "still has" in str(keeps.error)


def test_a_bucket_that_can_not_lock_or_forgets_locks_is_found_out() -> None:
    class Locking(MemoryStorage):
        immutable_days = 30

    class CannotLock(Locking):
        def lock(self, name: str, until: datetime) -> None:
            raise SettingsError("the bucket has no Object Lock")

    for storage, said in ((Locking(), "did not keep the lock"), (CannotLock(), "no Object Lock")):
        report = probe(storage, size_bytes=_SIZE)
        assert not report.ok
        assert report.lock is None
        assert said in str(report.error)
        assert list(storage.list()) == []


def test_what_a_killed_probe_left_behind_goes_with_a_later_one_and_what_is_new_or_locked_stays(folder: Path) -> None:
    storage = LocalStorage(folder, immutable_days=1)
    for name in ("probe/old", "probe/new", "probe/locked"):
        storage.put(name, b"")
    two_hours_ago = time.time() - 7200
    for name in ("old", "locked"):
        os.utime(folder / "probe" / name, (two_hours_ago, two_hours_ago))
    storage.lock("probe/locked", datetime.now(UTC) + timedelta(hours=1))
    reading: Storage = LocalStorage(folder)
    assert probe(reading, size_bytes=_SIZE).ok
    assert {info.name for info in reading.list("probe")} == {"probe/new", "probe/locked"}
    with pytest.raises(ObjectLockedError):
        reading.delete("probe/locked")
