"""A clean-up in a home that remembers all manifests and proofs: it judges by the bytes that there are, and reads each once."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from holdfast.cleanup import Cleanup, How
from holdfast.errors import RefusedError
from holdfast.history import History
from holdfast.repository import Compression, Manifest, Repository, UserKey, names, record_cache, sealing
from holdfast.repository.backups import Brief
from holdfast.repository.masterkey import Kind
from holdfast.retention import Rules
from holdfast.storage import LocalStorage
from tests.repository.counting import Counting
from tests.repository.making import back_up, one_bit_off

KEY = UserKey.parse("11" * 32)
RULES = Rules({"database": 0, "function": 0, "config": 0, "secrets": 0}, keep_last=1, keep_monthly=3)
HOW = How("cleanup_1", RULES, lambda: lambda kind, source: None, grace_seconds=0, at_once=True)
Open = Callable[[], Repository]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "repository"


@pytest.fixture(params=[True, False], ids=["encrypted", "plain"])
def opened(folder: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Open:
    """Open a repository as another process of the same home would, in which a clean-up was planned before.

    There are `newest` of today, and of one month some time ago `second` and, ten days before it, `first`. All are proven, and of
    the month `second` stays.
    """
    (tmp_path / "home").mkdir()
    made = Repository.create(LocalStorage(folder), key=KEY if request.param else None, encrypt=request.param)
    month = (made.now.replace(day=1) - timedelta(days=40)).replace(day=1)
    times = {"first": month + timedelta(days=9), "second": month + timedelta(days=19), "newest": made.now - timedelta(hours=1)}
    for backup_id, at in times.items():
        back_up(made, backup_id, {"a": backup_id.encode()}, snapshot_at=at)
        made.add_proof(backup_id, "proven", ok=True, problems=[], figures={}, started_at=made.now)
        for path in folder.rglob(f"*{backup_id}*"):
            for one in (path, *path.rglob("*")):
                os.utime(one, (at.timestamp(), at.timestamp()))

    def again() -> Repository:
        found = Repository.open(Counting(folder), key=KEY)
        found.use_cache(tmp_path / "home" / "cache")
        return found

    assert doomed(again()) == {"first"}
    return again


def doomed(repository: Repository) -> set[str]:
    return {verdict.backup.id for verdict in Cleanup(History(repository), HOW).run(dry_run=True).the_plan.doomed}


def forgotten(repository: Repository) -> set[str]:
    return {one.id for one in Cleanup(History(repository), HOW).run().forgotten}


def put_in_place(path: Path, data: bytes) -> None:
    """Change what a file holds, and leave its time as it was."""
    before = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def manifest_path(folder: Path, backup_id: str) -> Path:
    return folder / names.manifest("database", backup_id)


def of_another_time(repository: Repository, path: Path, backup_id: str, snapshot_at: datetime) -> bytes:
    """Seal a backup's manifest once more, with another time and as many bytes."""
    manifest, name = repository.manifest(backup_id), names.manifest("database", backup_id).encode()
    for microsecond in range(1000):
        at = snapshot_at + timedelta(microseconds=microsecond)
        other = replace(manifest, snapshot_at=at, started_at=at)
        sealed = sealing.seal(Kind.MANIFEST, name, other.to_bytes(), Compression("gzip", 6), repository._sealed.master)
        if len(sealed) == path.stat().st_size:
            return bytes(sealed)
    raise AssertionError("no time gave as many bytes")


def test_a_warm_plan_reads_each_manifest_and_proof_once_and_opens_none_that_is_encrypted(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: Counter[str] = Counter()
    before = Manifest.from_json.__func__  # type: ignore[attr-defined]

    def from_json(cls: type[Manifest], value: dict[str, object]) -> Manifest:
        made["manifests"] += 1
        return before(cls, value)  # type: ignore[no-any-return]

    monkeypatch.setattr(Manifest, "from_json", classmethod(from_json))
    held = opened()
    plan = Cleanup(History(held), HOW).plan()
    assert [verdict.backup.id for verdict in plan.doomed] == ["first"]
    assert plan.freeable_bytes
    storage = held._sealed.storage
    assert isinstance(storage, Counting)
    assert (storage.read["manifests"], storage.read["proofs"]) == (3, 6)
    assert made["manifests"] == (0 if held.encrypted else 3)


def test_the_plan_is_the_same_as_where_nothing_is_remembered(opened: Open, folder: Path) -> None:
    warm = Cleanup(History(opened()), HOW).plan()
    cold = Cleanup(History(Repository.open(LocalStorage(folder), key=KEY)), HOW).plan()
    assert (warm.judged, warm.refused, warm.freeable_bytes) == (cold.judged, cold.refused, cold.freeable_bytes)


@pytest.mark.parametrize("clean", [doomed, forgotten])
def test_what_rotted_in_place_goes_and_what_stood_behind_it_stays(
    opened: Open, folder: Path, clean: Callable[[Repository], set[str]]
) -> None:
    path = manifest_path(folder, "second")
    put_in_place(path, one_bit_off(path.read_bytes()))
    assert clean(opened()) == {"second"}


@pytest.mark.parametrize("clean", [doomed, forgotten])
def test_the_manifest_of_another_backup_in_its_place_counts_as_damage(
    opened: Open, folder: Path, clean: Callable[[Repository], set[str]]
) -> None:
    put_in_place(manifest_path(folder, "second"), manifest_path(folder, "first").read_bytes())
    assert clean(opened()) == {"second"}


@pytest.mark.parametrize("clean", [doomed, forgotten])
def test_what_is_gone_from_the_storage_stands_for_nothing(
    opened: Open, folder: Path, clean: Callable[[Repository], set[str]]
) -> None:
    manifest_path(folder, "second").unlink()
    assert clean(opened()) == set()


@pytest.mark.parametrize("clean", [doomed, forgotten])
def test_another_valid_manifest_of_the_same_size_and_time_is_judged_by_what_it_says(
    opened: Open, folder: Path, clean: Callable[[Repository], set[str]]
) -> None:
    plain = Repository.open(LocalStorage(folder), key=KEY)
    older = plain.manifest("first").snapshot_at - timedelta(days=5)
    path = manifest_path(folder, "second")
    put_in_place(path, of_another_time(plain, path, "second", older))
    assert clean(opened()) == {"second"}
    again = plain.look_again("database", "second")
    expected = again.snapshot_at if again is not None else None
    told = {one.id: one.snapshot_at for one in opened().backups()}
    assert told.get("second") == expected


@pytest.mark.parametrize("clean", [doomed, forgotten])
def test_a_proof_that_another_process_has_just_written_counts(
    opened: Open, folder: Path, clean: Callable[[Repository], set[str]]
) -> None:
    other = Repository.open(LocalStorage(folder), key=KEY)
    other.add_proof("second", "read", ok=False, problems=["a chunk is gone"], figures={}, started_at=other.now)
    assert clean(opened()) == {"second"}


@pytest.mark.parametrize("clean", [doomed, forgotten])
def test_a_proof_that_rotted_in_place_counts_as_a_bad_one(
    opened: Open, folder: Path, clean: Callable[[Repository], set[str]]
) -> None:
    newest = max((folder / names.proofs("second")).iterdir())
    put_in_place(newest, one_bit_off(newest.read_bytes()))
    assert clean(opened()) == {"second"}


@pytest.mark.parametrize("harm", [one_bit_off, lambda data: data[: len(data) // 2]])
def test_a_cache_that_rotted_changes_no_judgement(opened: Open, tmp_path: Path, harm: Callable[[bytes], bytes]) -> None:
    for path in (tmp_path / "home" / "cache").glob("*/*"):
        path.write_bytes(harm(path.read_bytes()))
    assert doomed(opened()) == {"first"}


def test_what_another_version_of_holdfast_made_out_is_made_out_again(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_cache, "HOLDFAST_VERSION", "99.0")
    held = opened()
    held.backups()
    storage = held._sealed.storage
    assert isinstance(storage, Counting)
    assert storage.read["manifests"] == 3


def test_what_other_code_made_out_is_made_out_again(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_cache, "_readers", lambda: "of another day")
    held = opened()
    held.backups()
    storage = held._sealed.storage
    assert isinstance(storage, Counting)
    assert storage.read["manifests"] == 3


def test_who_forges_the_memory_of_a_home_has_nothing_deleted_by_it_where_nothing_is_encrypted(
    folder: Path, tmp_path: Path
) -> None:
    made = Repository.create(LocalStorage(folder), key=None, encrypt=False)
    back_up(made, "backup_1", {"a": b"text" * 1000})
    name = names.manifest("database", "backup_1")
    os.utime(folder / name, (0, 0))
    (tmp_path / "home").mkdir()
    made.use_cache(tmp_path / "home" / "cache")
    cache, (info,) = made._backups.cache, list(made._sealed.storage.list("manifests"))
    assert cache is not None
    nothing = replace(made.manifest("backup_1"), entries=[])
    cache.learn(info, (folder / name).read_bytes(), Brief.of(nothing).to_list(), nothing.to_bytes())
    cache.save()

    held = Repository.open(LocalStorage(folder), key=None)
    held.use_cache(tmp_path / "home" / "cache")
    assert held.backups_afresh()[0].brief == Brief.of(made.manifest("backup_1"))
    assert held.prune(grace_seconds=0).chunks_deleted == 0


def test_a_prune_that_deletes_reads_again_what_a_plan_has_read(opened: Open, folder: Path) -> None:
    held = opened()
    found = held.backups_afresh()
    path = manifest_path(folder, "second")
    put_in_place(path, one_bit_off(path.read_bytes()))
    assert held.prune(grace_seconds=0, dry_run=True, backups=found).chunks_deleted == 0
    with pytest.raises(RefusedError, match="nothing was deleted"):
        held.prune(grace_seconds=0, backups=found)
