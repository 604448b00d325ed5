"""Locks in a folder: what is locked is neither deleted nor lost to a replacement, by this process or the next."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.errors import ObjectExistsError, ObjectLockedError, ObjectNotFoundError
from holdfast.storage import LocalStorage, Storage

from .conformance import LockConformance, StorageConformance

DAY = timedelta(days=1)


class TestLocalStorageThatLocks(StorageConformance):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Storage:
        return LocalStorage(tmp_path / "repository", immutable_days=1)

    def reopened(self, storage: Storage) -> Storage:
        return LocalStorage(storage.location.removeprefix("file://"), immutable_days=1)


class TestLocalLocks(LockConformance):
    @pytest.fixture
    def locking(self, storage: LocalStorage) -> Storage:
        return storage


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "repository"


@pytest.fixture
def storage(folder: Path) -> LocalStorage:
    return LocalStorage(folder, immutable_days=30)


def _now() -> datetime:
    return datetime.now(UTC)


def _wait(storage: LocalStorage, until: datetime) -> None:
    while storage.clock() <= until:
        time.sleep(0.02)


def test_what_is_locked_is_not_deleted_by_anybody_before_its_time(folder: Path, storage: LocalStorage) -> None:
    storage.put("chunks/ab/x", b"precious")
    until = _now() + DAY
    storage.lock("chunks/ab/x", until)
    for other in (storage, LocalStorage(folder, immutable_days=30), LocalStorage(folder)):
        assert other.locked_until("chunks/ab/x") == until
        with pytest.raises(ObjectLockedError, match=f"chunks/ab/x.*{until:%Y-%m-%d %H:%M:%S}") as caught:
            other.delete("chunks/ab/x")
        assert storage.location in str(caught.value)
    assert storage.get("chunks/ab/x") == b"precious"
    assert not os.access(folder / "chunks/ab/x", os.W_OK) or os.geteuid() == 0
    assert (folder / "chunks/ab/x").stat().st_mode & 0o222 == 0


def test_what_is_not_locked_is_deleted_and_replaced_as_ever(storage: LocalStorage) -> None:
    storage.put("leases/1", b"a")
    storage.put("leases/1", b"b", replace=True)
    assert storage.locked_until("leases/1") is None
    storage.delete("leases/1")
    assert storage.locked_until("leases/1") is None
    assert list(storage.list()) == []


def test_a_lock_that_is_over_holds_nothing_back(storage: LocalStorage) -> None:
    storage.put("x", b"1")
    storage.put("y", b"1")
    until = _now() + timedelta(seconds=0.3)
    storage.lock("x", until)
    storage.lock("y", until)
    with pytest.raises(ObjectLockedError):
        storage.delete("x")
    _wait(storage, until)
    storage.delete("x")
    storage.put("y", b"2", replace=True)
    assert storage.get("y") == b"2"
    storage.put("x", b"3")
    assert storage.locked_until("x") is None
    storage.delete("y")


def test_a_lock_is_made_longer_and_never_shorter(storage: LocalStorage) -> None:
    storage.put("x", b"1")
    first = _now() + DAY
    for until, expected in ((first, first), (first - timedelta(hours=1), first), (first + DAY, first + DAY)):
        storage.lock("x", until)
        assert storage.locked_until("x") == expected
    ends = [first + timedelta(days=2 + number) for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda until: storage.lock("x", until), reversed(ends)))
    assert storage.locked_until("x") == ends[-1]


def test_locking_changes_neither_bytes_nor_time_nor_listing(storage: LocalStorage) -> None:
    storage.put("chunks/ab/x", b"precious")
    before = list(storage.list())
    time.sleep(0.02)
    storage.lock("chunks/ab/x", _now() + DAY)
    assert list(storage.list()) == before
    assert storage.get("chunks/ab/x") == b"precious"
    with pytest.raises(ObjectExistsError):
        storage.put("chunks/ab/x", b"other")


def test_nothing_is_locked_where_nothing_is_to_be(folder: Path) -> None:
    storage = LocalStorage(folder)
    storage.put("x", b"1")
    storage.lock("x", _now() + DAY)
    assert storage.immutable_days == 0
    assert storage.locked_until("x") is None
    storage.delete("x")


def test_an_object_that_is_not_there_can_not_be_locked(storage: LocalStorage) -> None:
    with pytest.raises(ObjectNotFoundError, match="no/such"):
        storage.lock("no/such", _now() + DAY)
    storage.put("a", b"")
    assert storage.locked_until("no/such") is None
    assert storage.locked_until("a/below") is None
    assert storage.locked_until("a" * 255) is None


def test_a_locked_object_is_healed_in_its_place_and_what_it_held_is_kept(folder: Path, storage: LocalStorage) -> None:
    storage.put("chunks/ab/x", b"damaged")
    until = _now() + DAY
    storage.lock("chunks/ab/x", until)
    storage.put("chunks/ab/x", b"good", replace=True, bulk=True)
    assert storage.get("chunks/ab/x") == b"good"
    assert storage.locked_until("chunks/ab/x") == until, "what took its place is locked like it"
    assert [info.name for info in storage.list()] == ["chunks/ab/x"]
    (kept,) = (folder / "chunks/ab").glob("x#kept-*")
    assert kept.read_bytes() == b"damaged"
    assert storage.tidy(until) == 0, "its time is not over"
    assert storage.tidy(until + timedelta(seconds=2)) == 1
    assert storage.get("chunks/ab/x") == b"good"
    assert not kept.exists()


def test_tidy_leaves_locks_of_objects_and_takes_those_of_none(folder: Path, storage: LocalStorage) -> None:
    storage.put("chunks/ab/x", b"1")
    until = _now() + DAY
    (folder / "chunks/ab/x#locked").write_text(until.isoformat())
    (folder / "chunks/ab/gone#locked").write_text(until.isoformat())
    assert [info.name for info in storage.list()] == ["chunks/ab/x"]
    assert storage.tidy(_now() - timedelta(hours=1)) == 0
    assert storage.tidy(_now() + timedelta(hours=1)) == 1
    assert storage.locked_until("chunks/ab/x") == until
    with pytest.raises(ObjectLockedError):
        storage.delete("chunks/ab/x")


def test_a_lock_that_a_power_loss_cut_short_is_none_and_is_said(
    folder: Path, storage: LocalStorage, caplog: pytest.LogCaptureFixture
) -> None:
    storage.put("x", b"1")
    (folder / "x#locked").write_bytes(b"")
    assert storage.locked_until("x") is None
    assert "can't be read" in caplog.text
    storage.delete("x")
    assert list(folder.glob("x*")) == []


def test_a_file_system_without_attributes_keeps_locks_beside_the_objects(tmp_path: Path) -> None:
    """A ramfs in a mount namespace of its own: it has no attributes, and goes with the process."""
    disk = tmp_path / "disk"
    disk.mkdir()
    script = textwrap.dedent(f"""
        import os, time
        from datetime import UTC, datetime, timedelta
        from pathlib import Path
        from holdfast.errors import ObjectLockedError
        from holdfast.storage import LocalStorage
        folder = Path({str(disk)!r})
        storage = LocalStorage(folder, immutable_days=1)
        storage.put("k/x", b"1")
        until = datetime.now(UTC) + timedelta(seconds=1)
        storage.lock("k/x", until - timedelta(seconds=0.5))
        storage.lock("k/x", until)
        storage.lock("k/x", until - timedelta(seconds=0.7))
        storage.sync()
        assert (folder / "k/x#locked").read_text() == until.isoformat()
        assert LocalStorage(folder).locked_until("k/x") == until
        storage.put("k/x", b"2", replace=True)
        assert storage.locked_until("k/x") == until
        try:
            storage.delete("k/x")
        except ObjectLockedError:
            print("locked")
        assert [info.name for info in storage.list("k")] == ["k/x"]
        while storage.clock() <= until:
            time.sleep(0.05)
        storage.delete("k/x")
        assert not (folder / "k/x#locked").exists()
    """)
    command = f'mount -t ramfs ramfs "{disk}" && "{sys.executable}" -c "$0"'
    as_user = [] if os.geteuid() == 0 else ["--map-root-user"]
    done = subprocess.run(
        ["unshare", "--mount", *as_user, "sh", "-c", command, script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "locked\n"), done.stderr


def test_a_lock_is_durable_when_sync_has_returned(folder: Path, storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.put("k/x", b"1")
    storage.sync()
    storage.lock("k/x", _now() + DAY)
    seen: list[Path] = []
    real: Callable[[int], None] = os.fsync

    def fsync(handle: int) -> None:
        seen.append(Path(f"/proc/self/fd/{handle}").readlink())
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    storage.sync()
    assert folder / "k/x" in seen


def test_it_is_said_once_that_locks_in_a_folder_are_a_best_effort(
    storage: LocalStorage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for number in range(3):
        storage.put(f"{number}", b"")
        storage.lock(f"{number}", _now() + DAY)
    assert caplog.text.count("best effort") == 1
