"""Lists remember what they have read: quicker, and never at the price of what is true."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from holdfast.checking import Checking, CheckOptions
from holdfast.documents import in_full
from holdfast.errors import DamagedError, RefusedError
from holdfast.latest import require_good
from holdfast.repository import ReadParts, Repository, UserKey, names, record_cache
from holdfast.storage import LocalStorage
from tests.repository.counting import Counting
from tests.repository.making import back_up, one_bit_off

CONTENTS = {f"backup_{number}": f"content {number}".encode() for number in range(3)}


Open = Callable[[], Repository]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The cache of a home that is there already."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home" / "cache"


@pytest.fixture
def made(repository: Repository, folder: Path) -> Repository:
    """Some backups of ten minutes ago, in a folder, encrypted and not."""
    for backup_id, content in CONTENTS.items():
        back_up(repository, backup_id, {"a": content})
    grow_old(folder)
    return repository


@pytest.fixture
def storage(folder: Path) -> LocalStorage:
    """Only folders: their objects can be changed behind the repository's back."""
    return LocalStorage(folder)


@pytest.fixture
def opened(made: Repository, folder: Path, home: Path, key: UserKey) -> Open:
    """Open the repository afresh, as another process would, with the cache of this home."""

    def again() -> Repository:
        found = Repository.open(Counting(folder), key=key)
        found.use_cache(home)
        return found

    return again


def grow_old(folder: Path) -> None:
    """Have what has just been put lie there for ten minutes; what is old already stays as it is."""
    now = time.time()
    for path in folder.rglob("*"):
        if path.stat().st_mtime > now - 300:
            os.utime(path, (now - 600, now - 600))


def reads(repository: Repository) -> Counter[str]:
    storage = repository._sealed.storage
    assert isinstance(storage, Counting)
    return storage.read


def listed(repository: Repository) -> dict[str, str | None]:
    return {one.id: one.damaged for one in repository.backups()}


def rot(path: Path) -> None:
    """Change one bit, and leave length and time as they were."""
    before = path.stat()
    path.write_bytes(one_bit_off(path.read_bytes()))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_another_process_lists_without_reading_a_manifest_or_a_proof_again(opened: Open, made: Repository) -> None:
    first, second = opened(), opened()
    for one in (first, second):
        assert [(s.id, s.type, s.stored_at, s.snapshot_at, s.brief, s.intact, s.damaged) for s in one.backups()] == [
            (s.id, s.type, s.stored_at, s.snapshot_at, s.brief, s.intact, s.damaged) for s in made.backups()
        ]
        assert one.verified_levels() == {backup_id: made.verified_level(backup_id) for backup_id in CONTENTS}
    assert (reads(first)["manifests"], reads(first)["proofs"]) == (3, 3)
    assert (reads(second)["manifests"], reads(second)["proofs"]) == (0, 0)
    for one in second.backups():
        assert one.brief is not None
        assert one.brief.checksum == one.manifest.checksum


def test_only_what_is_new_is_read(opened: Open, made: Repository, folder: Path) -> None:
    opened().backups()
    back_up(made, "backup_new", {"a": b"new"}, backup_type="config")
    young = opened()
    assert set(listed(young)) == {*CONTENTS, "backup_new"}
    assert reads(young)["manifests"] == 1
    grow_old(folder)
    opened().backups("config")
    known = opened()
    assert set(listed(known)) == {*CONTENTS, "backup_new"}
    assert reads(known)["manifests"] == 0


def test_what_has_just_been_put_is_read_again_for_another_might_take_its_place(opened: Open, folder: Path) -> None:
    for path in folder.rglob("*"):
        os.utime(path)
    opened().backups()
    again = opened()
    again.backups()
    assert reads(again)["manifests"] == 3


def test_a_manifest_that_is_gone_is_not_listed(opened: Open, made: Repository, folder: Path) -> None:
    opened().backups()
    (folder / names.manifest("database", "backup_0")).unlink()
    made.forget("backup_1")
    assert set(listed(opened())) == {"backup_2"}


def test_a_manifest_that_was_changed_since_is_listed_as_damaged(opened: Open, folder: Path) -> None:
    opened().backups()
    path = folder / names.manifest("database", "backup_1")
    path.write_bytes(one_bit_off(path.read_bytes()))
    assert {backup_id: what is not None for backup_id, what in listed(opened()).items()} == {
        "backup_0": False,
        "backup_1": True,
        "backup_2": False,
    }


def test_a_manifest_that_rotted_in_place_is_found_by_whoever_opens_checks_or_prunes(opened: Open, folder: Path) -> None:
    opened().backups()
    rot(folder / names.manifest("database", "backup_2"))
    for level in ("stored", "read"):
        found = opened().check(level=level)  # type: ignore[arg-type]
        assert [problem.object for problem in found.problems] == [names.manifest("database", "backup_2")]
        assert not opened().check(["backup_2"], level=level).ok  # type: ignore[arg-type]
    for damaged in (lambda: opened().manifest("backup_2"), lambda: opened().latest("database")):
        with pytest.raises(DamagedError, match="backup_2"):
            damaged()
    again = opened().look_again("database", "backup_2")
    assert again is not None
    assert again.damaged is not None
    with pytest.raises(RefusedError, match="nothing was deleted"):
        opened().prune(grace_seconds=0)


READERS: dict[str, Callable[[Repository], object]] = {
    "open": lambda held: held.manifest("backup_2"),
    "latest": lambda held: held.latest("database"),
    "show": lambda held: held.find("backup_2"),
    "look again": lambda held: held.look_again("database", "backup_2"),
    "clean up": lambda held: held.backups_afresh(),
    "prune": lambda held: held.prune(grace_seconds=0),
    "dry prune": lambda held: held.prune(grace_seconds=0, dry_run=True),
    "check": lambda held: held.check(level="stored"),
}


@pytest.mark.parametrize("repository", ["encrypted"], indirect=True)
@pytest.mark.parametrize("reader", READERS)
def test_once_somebody_has_read_a_rotted_manifest_the_lists_of_this_home_know(opened: Open, folder: Path, reader: str) -> None:
    opened().backups()
    rot(folder / names.manifest("database", "backup_2"))
    with suppress(DamagedError, RefusedError):
        READERS[reader](opened())
    for _ in range(2):
        again = opened()
        assert {backup_id for backup_id, what in listed(again).items() if what is not None} == {"backup_2"}
        assert reads(again)["manifests"] == 2, "the damaged one, and once more to be sure"


@pytest.mark.parametrize("repository", ["encrypted"], indirect=True)
def test_what_a_check_of_another_host_found_bad_is_read_again_by_every_list(
    opened: Open, made: Repository, folder: Path, home: Path
) -> None:
    long_open = opened()
    long_open._backups.cache = None  # it knows what it has opened itself
    for held in (opened(), long_open):
        assert listed(held) == dict.fromkeys(CONTENTS)
    rot(folder / names.manifest("database", "backup_2"))
    assert listed(opened()) == dict.fromkeys(CONTENTS), "nobody has looked yet"
    checked = Checking(made, "check_1", CheckOptions(timedelta(days=1), timedelta(days=1)))
    for part in checked.due():
        checked.read(part)
    checked.mark()
    files = sorted(home.rglob("*"))
    for held in (opened(), long_open):
        assert {backup_id for backup_id, what in listed(held).items() if what is not None} == {"backup_2"}
    assert len(sorted(home.rglob("*"))) == len(files)


@pytest.mark.parametrize("repository", ["encrypted"], indirect=True)
def test_backups_that_stay_bad_do_not_make_the_cache_grow(opened: Open, made: Repository, home: Path) -> None:
    made.checks.put(ReadParts(made.now, (None,), ("backup_1",)))
    for _ in range(3):
        again = opened()
        assert listed(again) == dict.fromkeys(CONTENTS)
    assert reads(again)["manifests"] == 1
    assert len(list(home.glob("*/*"))) == 1


@pytest.mark.parametrize("repository", ["encrypted"], indirect=True)
def test_where_there_is_no_home_none_is_made(opened: Open, home: Path) -> None:
    home.parent.rmdir()
    held = opened()
    for _ in range(2):
        assert set(listed(held)) == set(CONTENTS)
        held.verified_levels()
    assert not home.parent.exists()


@pytest.mark.parametrize("repository", ["encrypted"], indirect=True)
def test_latest_says_the_same_of_damage_whether_or_not_the_list_knew(opened: Open, folder: Path) -> None:
    opened().backups()
    newest = opened().latest("database").id
    rot(folder / names.manifest("database", newest))
    told = []
    for _ in range(2):  # the first time the list does not know
        with pytest.raises(DamagedError) as raised:
            opened().latest("database")
        told.append((raised.value.what_and_why, raised.value.next_step))
    assert told[0] == told[1]
    assert f"the newest database backup, {newest}, is damaged" in told[0][0]


@pytest.mark.parametrize("repository", ["encrypted"], indirect=True)
def test_a_drill_takes_the_newest_backup_that_can_be_read(opened: Open, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    newest, second, _ = (one.id for one in opened().backups())
    rot(folder / names.manifest("database", newest))
    assert require_good(opened(), "database").id == second
    assert f"Backup {newest} is passed over" in caplog.text


@pytest.mark.parametrize("repository", ["encrypted"], indirect=True)
def test_what_is_shown_of_one_backup_is_how_it_is(opened: Open, folder: Path) -> None:
    opened().backups()
    rot(folder / names.manifest("database", "backup_2"))
    shown = in_full(opened(), "backup_2", "database")
    assert shown is not None
    assert shown["status"] == "damaged"
    whole = in_full(opened(), "backup_1", "database")
    assert whole is not None
    assert [entry["name"] for entry in whole["entries"]] == ["a"]
    assert in_full(opened(), "backup_9", "database") is None
    assert in_full(opened(), "../backup_1", "database") is None


def test_a_proof_that_was_damaged_since_counts_as_a_bad_one(opened: Open, made: Repository, folder: Path) -> None:
    assert set(opened().verified_levels().values()) == {"stored"}
    (path,) = (folder / names.proofs("backup_0")).iterdir()
    path.write_bytes(one_bit_off(path.read_bytes()))
    assert opened().verified_levels() == {"backup_0": None, "backup_1": "stored", "backup_2": "stored"}
    assert made.verified_level("backup_0") is None


def test_a_later_proof_counts_at_once(opened: Open, made: Repository) -> None:
    opened().verified_levels()
    now = made.now
    made.add_proof("backup_1", "read", ok=True, problems=[], figures={}, started_at=now)
    made.add_proof("backup_2", "read", ok=False, problems=["it is damaged"], figures={}, started_at=now)
    assert opened().verified_levels() == {"backup_0": "stored", "backup_1": "read", "backup_2": None}


def test_another_repository_in_the_same_place_is_told_from_the_one_before(
    opened: Open, folder: Path, home: Path, key: UserKey
) -> None:
    opened().backups()
    folder.rename(folder.with_name("before"))
    other = Repository.create(LocalStorage(folder), key=key)
    back_up(other, "backup_0", {"a": b"of another"})
    grow_old(folder)
    other.use_cache(home)
    (found,) = other.backups()
    assert found.manifest == other.manifest("backup_0")
    for path in home.glob("*/*"):  # nor do files of one count in the folder of the other
        for place in home.iterdir():
            (place / path.name).write_bytes(path.read_bytes())
    again = Repository.open(Counting(folder), key=key)
    again.use_cache(home)
    assert [one.manifest for one in again.backups()] == [found.manifest]


def test_a_copy_of_the_repository_is_told_from_it(opened: Open, made: Repository, home: Path, tmp_path: Path) -> None:
    held = opened()
    held.backups()
    copied = tmp_path / "copy"
    subprocess.run(["cp", "-a", str(tmp_path / "repository"), str(copied)], check=True)
    path = copied / names.manifest("database", "backup_0")
    rot(path)
    copy = held.copy_in(LocalStorage(copied))
    assert listed(copy)["backup_0"] is not None
    assert listed(opened()) == dict.fromkeys(listed(made))


def test_nobody_else_may_read_what_is_kept_and_with_a_key_nobody_could(opened: Open, made: Repository, home: Path) -> None:
    held = opened()
    held.backups()
    held.verified_levels()
    files = [path for path in home.rglob("*") if path.is_file()]
    assert len(files) == 2
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in (home, *home.iterdir())} == {0o700}
    if made.encrypted:
        assert not any(b"backup_" in path.read_bytes() for path in files)


@pytest.mark.parametrize("harm", [lambda data: b"", lambda data: data[: len(data) // 2], one_bit_off, lambda data: b"x" * 99])
def test_a_damaged_cache_is_no_worse_than_none(
    opened: Open, made: Repository, home: Path, harm: Callable[[bytes], bytes]
) -> None:
    opened().backups()
    for path in home.glob("*/*"):
        path.write_bytes(harm(path.read_bytes()))
    found = opened()
    assert [(one.id, one.intact) for one in found.backups()] == [(one.id, one.intact) for one in made.backups()]
    assert [(one.id, one.intact) for one in opened().backups()] == [(one.id, one.intact) for one in made.backups()]


def test_where_neither_the_cache_nor_the_storage_has_a_manifest_whole_it_is_damaged(
    opened: Open, home: Path, folder: Path
) -> None:
    opened().backups()
    for path in home.glob("*/*"):
        path.write_bytes(one_bit_off(path.read_bytes()))  # the last part: contents, not the index
    rot(folder / names.manifest("database", "backup_1"))
    found = {one.id: one for one in opened().backups()}
    assert {backup_id for backup_id, one in found.items() if one.intact is None} == {"backup_1"}
    with pytest.raises(DamagedError, match="backup_1"):
        _ = found["backup_1"].manifest


def test_a_home_that_can_not_be_written_to_hinders_no_list(opened: Open, home: Path, caplog: pytest.LogCaptureFixture) -> None:
    home.write_text("no folder")
    with caplog.at_level("INFO", "holdfast"):
        assert set(listed(opened())) == set(CONTENTS)
    assert "could not be kept" in caplog.text


@pytest.mark.parametrize("repository", ["encrypted"], indirect=True)
def test_files_stay_few_and_what_is_gone_goes(
    opened: Open, made: Repository, folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_cache, "_FILES_MAX", 3)
    for number in range(4):
        back_up(made, f"more_{number}", {"a": b"more"})
        grow_old(folder)
        opened().backups()
        made.forget(f"more_{number}")
        if number == 0:
            left = next(home.iterdir()) / ".left-by-a-killed-process"
            left.write_bytes(b"half")
            os.utime(left, (0, 0))
    back_up(made, "more_5", {"a": b"more"})
    grow_old(folder)
    opened().backups()
    opened().backups()
    assert len(list(home.rglob("manifests-*"))) <= 3
    assert not left.exists()
    again = opened()
    assert set(listed(again)) == {*CONTENTS, "more_5"}
    assert reads(again)["manifests"] == 0


LISTING = """
import sys
from pathlib import Path
from holdfast.repository import Repository, UserKey, record_cache
from holdfast.storage import LocalStorage
record_cache._FILES_MAX = 1
for _ in range(8):
    held = Repository.open(LocalStorage(sys.argv[1]), key=UserKey.parse("11" * 32))
    held.use_cache(Path(sys.argv[2]))
    found = held.backups()
    assert len(found) >= 3, found
    assert all(one.manifest.id == one.id for one in found)
"""


@pytest.mark.parametrize("repository", ["encrypted"], indirect=True)
def test_processes_that_list_at_once_do_not_disturb_each_other(opened: Open, made: Repository, folder: Path, home: Path) -> None:
    working = [subprocess.Popen([sys.executable, "-c", LISTING, str(folder), str(home)]) for _ in range(2)]
    number = 0
    while any(process.poll() is None for process in working):
        number += 1
        back_up(made, f"more_{number}", {"a": b"more"})
        then = time.time() - 600
        os.utime(folder / names.manifest("database", f"more_{number}"), (then, then))
        opened().backups()
    assert [process.returncode for process in working] == [0, 0]
    assert number > 1
    found = opened()
    assert set(listed(found)) == {one.id for one in made.backups()}
    assert [one.manifest for one in found.backups()] == [one.manifest for one in made.backups()]
