"""Storage in a folder keeps the contract, survives killed processes and full disks, and syncs what it says it syncs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.errors import ObjectExistsError, SettingsError, StorageFullError, StorageUnreachableError
from holdfast.storage import LocalStorage, Storage, local_sync

from .conformance import MIB, StorageConformance


class TestLocalStorage(StorageConformance):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Storage:
        return LocalStorage(tmp_path / "repository")

    def reopened(self, storage: Storage) -> Storage:
        return LocalStorage(storage.location.removeprefix("file://"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "repository"


def test_a_storage_that_is_open_stays_where_it_is_when_the_link_to_it_is_set_to_another_place(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    link = tmp_path / "current"
    link.symlink_to(tmp_path / "old")
    storage = LocalStorage(link)
    storage.put("leases/one", b"held")
    link.unlink()
    link.symlink_to(tmp_path / "new")
    assert [info.name for info in storage.list("leases")] == ["leases/one"]
    assert storage.get("leases/one") == b"held"


def test_the_folder_is_made_for_this_user_only(folder: Path) -> None:
    LocalStorage(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_path_that_is_a_file_is_a_settings_error_that_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(SettingsError, match="BACKUP_STORAGE_PATH"):
            LocalStorage(path)


def test_a_location_names_the_folder(folder: Path) -> None:
    assert LocalStorage(folder).location == folder.as_uri()


def test_left_overs_of_killed_puts_are_no_objects_and_go_when_they_are_old(folder: Path) -> None:
    storage = LocalStorage(folder)
    storage.put("chunks/ab/x", b"real")
    for name in ("chunks/ab/x#1", "chunks/ab/y#12"):
        (folder / name).write_bytes(b"half")
    assert [info.name for info in storage.list()] == ["chunks/ab/x"]
    storage.put("chunks/ab/y", b"not hindered")
    assert storage.tidy(datetime.now(UTC) - timedelta(hours=1)) == 0
    assert storage.tidy(datetime.now(UTC) + timedelta(hours=1)) == 2
    assert sorted(path.name for path in (folder / "chunks/ab").iterdir()) == ["x", "y"]


def test_a_process_killed_while_it_puts_leaves_whole_objects_or_none(folder: Path) -> None:
    script = textwrap.dedent(f"""
        from holdfast.storage import LocalStorage
        storage = LocalStorage({str(folder)!r})
        print("ready", flush=True)
        for number in range(100000):
            storage.put(f"k/{{number}}", bytes([number % 256]) * {4 * MIB}, replace=True)
    """)
    for pause in (0.02, 0.05, 0.11):
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(pause)
            os.kill(child.pid, signal.SIGKILL)
        storage = LocalStorage(folder)
        for info in storage.list():
            data = storage.get(info.name)
            assert data == data[:1] * (4 * MIB)


def _synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    seen: list[Path] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        seen.append(Path(f"/proc/self/fd/{handle}").readlink())
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    return seen


def test_sync_covers_every_file_and_folder_up_to_the_root_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = LocalStorage(folder)
    storage.put("chunks/ab/x", b"1")
    storage.put("chunks/cd/y", b"2")
    seen = _synced(monkeypatch)
    storage.sync()
    files = {folder / "chunks/ab/x", folder / "chunks/cd/y"}
    folders = {folder / "chunks/ab", folder / "chunks/cd", folder / "chunks", folder, folder.parent, folder.parent.parent}
    assert set(seen) == files | folders
    assert len(seen) == len(files | folders)
    assert {*seen[:2]} == files, "a folder must not name a file that is not durable yet"
    seen.clear()
    storage.sync()
    assert seen == []


def test_sync_covers_what_another_process_had_put_and_deletions(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other, storage = LocalStorage(folder), LocalStorage(folder)
    other.put("k/found", b"1")
    storage.put("k/gone", b"2")
    storage.sync()
    with pytest.raises(ObjectExistsError):
        storage.put("k/found", b"1")
    storage.delete("k/gone")
    seen = _synced(monkeypatch)
    storage.sync()
    assert folder / "k/found" in seen
    assert folder / "k" in seen


def test_a_long_backup_is_synced_as_it_goes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that neither what must be remembered nor the wait at the end grows with the data."""
    monkeypatch.setattr(local_sync, "_BATCH", 8)
    storage = LocalStorage(folder)
    seen = _synced(monkeypatch)
    for number in range(20):
        storage.put(f"k/{number}", b"x")
        assert len(storage._unsynced) < 8
    assert len(seen) >= 8, "the second batch waits for the first"
    storage.sync()
    assert {folder / f"k/{number}" for number in range(20)} | {folder / "k"} <= set(seen)
    assert len(seen) == len(set(seen))


def test_a_file_that_did_not_reach_the_disk_is_told_before_anything_is_committed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel says so once; a second try that seems to succeed proves nothing."""
    monkeypatch.setattr(local_sync, "_BATCH", 2)
    storage = LocalStorage(folder)
    fsync = os.fsync
    failed: list[int] = []

    def failing(handle: int) -> None:
        if not failed:
            failed.append(handle)
            raise OSError(5, "Input/output error")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", failing)
    storage.put("k/1", b"x")
    storage.put("k/2", b"x")
    for _ in range(3):
        with pytest.raises(StorageUnreachableError, match="make durable") as told:
            storage.sync()
        assert "Input/output error" in str(told.value.reason)
        assert str(folder / "k") in str(told.value.reason)
    with pytest.raises(StorageUnreachableError, match="make durable"):
        storage.put("k/3", b"x")  # with the two that are noted still it fills a batch
    LocalStorage(folder).sync()


def test_a_disk_that_failed_in_a_sync_is_not_believed_later_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = LocalStorage(folder)
    storage.put("k/x", b"1")

    def failing(handle: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        with pytest.raises(StorageUnreachableError, match="make durable"):
            storage.sync()
    storage.put("k/y", b"2")
    with pytest.raises(StorageUnreachableError, match="Input/output error"):
        storage.sync()


def test_what_could_not_be_opened_to_be_synced_is_synced_later(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = LocalStorage(folder)
    storage.put("k/x", b"1")

    def broken(path: Path) -> None:
        raise OSError(24, "Too many open files", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(local_sync.Unsynced, "_sync_path", staticmethod(broken))
        with pytest.raises(StorageUnreachableError, match="make durable"):
            storage.sync()
    seen = _synced(monkeypatch)
    storage.sync()
    assert folder / "k/x" in seen


def test_a_full_disk_is_said_plainly_and_leaves_no_partial_object(tmp_path: Path) -> None:
    """A file system of 8 MiB in a mount namespace of its own, so that it is really full and goes with the process."""
    disk = tmp_path / "disk"
    disk.mkdir()
    script = textwrap.dedent(f"""
        from holdfast.errors import StorageFullError
        from holdfast.storage import LocalStorage
        storage = LocalStorage({str(disk)!r})
        kept = []
        try:
            for number in range(100):
                storage.put(f"k/{{number}}", bytes([number]) * {MIB})
                kept.append(number)
        except StorageFullError as error:
            print(error)
        assert 0 < len(kept) < 9
        assert sorted(info.name for info in storage.list()) == sorted(f"k/{{number}}" for number in kept)
        assert all(storage.get(f"k/{{number}}") == bytes([number]) * {MIB} for number in kept)
        storage.delete("k/0")
        storage.put("k/new", bytes({MIB}))
    """)
    command = f'mount -t tmpfs -o size=8m tmpfs "{disk}" && "{sys.executable}" -c "$0"'
    done = subprocess.run(
        ["unshare", "--mount", *_AS_USER, "sh", "-c", command, script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "no space is left" in done.stdout
    assert "Earlier backups are intact" in done.stdout


_AS_USER = [] if os.geteuid() == 0 else ["--map-root-user"]


def test_a_file_size_limit_is_a_full_storage_too(folder: Path) -> None:
    script = textwrap.dedent(f"""
        import resource, signal
        from holdfast.errors import StorageFullError
        from holdfast.storage import LocalStorage
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, ({MIB}, {MIB}))
        storage = LocalStorage({str(folder)!r})
        try:
            storage.put("k/x", bytes({2 * MIB}))
        except StorageFullError:
            assert list(storage.list()) == []
            print("full")
    """)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "full\n"


def test_a_full_storage_error_is_not_retried() -> None:
    assert StorageFullError.retryable is False
