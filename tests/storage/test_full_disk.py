"""A disk that fills up at any moment of a backup costs that backup, and nothing else.

Each test has a file system of its own, in a mount namespace of its own, so that it is really full and goes with the process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

_AS_USER = [] if os.geteuid() == 0 else ["--map-root-user"]

_BEGIN = """
    from pathlib import Path
    from holdfast.errors import StorageFullError
    from holdfast.repository import Repository, UserKey
    from holdfast.storage import LocalStorage
    from tests.repository.making import back_up, noise, read_all

    def left_overs():
        return [path.name for path in (disk / "repository").rglob("*#*") if path.name != "reserve#"]

    def assert_harmless(repository, first):
        assert left_overs() == [], left_overs()
        assert [one.id for one in repository.backups()] == ["backup_1"]
        report = Repository.open(LocalStorage(disk / "repository"), key=key).check(level="read")
        assert report.ok, report.problems
        assert read_all(repository, first) == {"a": noise(1, 300_000)}

    disk = Path(__import__("sys").argv[1])
    key = UserKey.parse("11" * 32)
    repository = Repository.create(LocalStorage(disk / "repository"), key=key)
    first = back_up(repository, "backup_1", {"a": noise(1, 300_000)})
"""


def _run_on_disk(disk: Path, options: str, script: str) -> str:
    """Run a script on a small file system; return what it printed."""
    disk.mkdir()
    command = f'mount -t tmpfs -o {options} tmpfs "{disk}" && "{sys.executable}" -W error -c "$0" "{disk}"'
    done = subprocess.run(
        ["unshare", "--mount", *_AS_USER, "sh", "-c", command, textwrap.dedent(_BEGIN) + textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_wherever_in_a_backup_the_disk_fills_up_the_earlier_backup_stays_whole(tmp_path: Path) -> None:
    said = _run_on_disk(
        tmp_path / "disk",
        "size=16m",
        """
        import os
        filler = disk / "filler"
        full = done = 0
        for spare in (0, 4, 12, 20, 40, 100, 300, 600, 1000, 1500, 2000, 2800, 4000):  # KiB
            free = os.statvfs(disk)
            filler.write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - spare * 1024)))
            try:
                back_up(repository, "backup_2", {"b": noise(2, 1_500_000), "c": noise(3, 700_000)})
            except StorageFullError as error:
                assert "no space is left" in str(error) and "Earlier backups are intact" in str(error), error
                full += 1
                assert_harmless(repository, first)
            else:
                done += 1
                repository.forget("backup_2")
            filler.unlink()
            repository.prune(grace_seconds=0)
            assert_harmless(repository, first)
        print(full >= 5, done >= 1)
        """,
    )
    assert said == "True True\n"


@pytest.mark.parametrize("files", [60, 75])
def test_a_disk_that_can_hold_no_more_files_is_full_too(tmp_path: Path, files: int) -> None:
    said = _run_on_disk(
        tmp_path / "disk",
        f"size=64m,nr_inodes={files}",
        """
        try:
            back_up(repository, "backup_2", {"b": noise(2, 52_000_000)})
        except StorageFullError as error:
            print("no space is left" in str(error))
        assert_harmless(repository, first)
        """,
    )
    assert said == "True\n"


def test_a_repository_can_not_be_made_on_a_full_disk_and_can_be_once_there_is_room(tmp_path: Path) -> None:
    said = _run_on_disk(
        tmp_path / "disk",
        "size=4m",
        """
        import os
        filler = disk / "filler"
        free = os.statvfs(disk)
        filler.write_bytes(bytes(free.f_bavail * free.f_frsize))
        try:
            Repository.create(LocalStorage(disk / "second"), key=key)
        except StorageFullError as error:
            print("no space is left" in str(error))
        filler.unlink()
        second = Repository.create(LocalStorage(disk / "second"), key=key)
        back_up(second, "backup_1", {"a": noise(1, 3000)})
        assert second.check(level="read").ok
        """,
    )
    assert said == "True\n"


def test_what_is_held_in_reserve_is_made_up_for_once_there_is_room(tmp_path: Path) -> None:
    said = _run_on_disk(
        tmp_path / "disk",
        "size=8m",
        """
        import os
        storage, filler = LocalStorage(disk / "repository"), disk / "filler"

        def write_down(name):
            storage.put(name, bytes(60_000))
            storage.sync()

        free = os.statvfs(disk)
        filler.write_bytes(bytes(free.f_bavail * free.f_frsize))
        for night in range(5):
            write_down(f"cleanups/{night}")
        left = (disk / "repository/reserve#").stat().st_size
        filler.unlink()
        write_down("cleanups/5")
        print(0 < left < 1 << 20, (disk / "repository/reserve#").stat().st_size == 1 << 20)
        """,
    )
    assert said == "True True\n"
