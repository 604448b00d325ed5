"""When everything else is gone: storage and key are enough, and damage is named, never restored."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import ANOTHER_KEY, KEY, Home, Shop, databases, orders
from tests.postgres.servers import drop_database, server_folder


@pytest.fixture
def stranded(shop: Shop) -> Iterator[Home]:
    """Another host: a copy of the storage, the key, and nothing else in the world."""
    with server_folder() as root:
        shutil.copytree(shop.home.path / "repository", root / "backups")
        yield Home(root / "elsewhere", {"BACKUP_STORAGE_PATH": str(root / "backups"), "BACKUP_ENCRYPTION_KEY": KEY})


def backups(home: Home) -> Path:
    """Return the folder of the copy."""
    return Path(home.settings["BACKUP_STORAGE_PATH"])


def test_with_storage_and_key_alone_all_is_listed_checked_and_brought_back(shop: Shop, stranded: Home) -> None:
    (listed,) = stranded.json("repo", "list")
    same = ("jobId", "type", "status", "sizeBytes", "storedBytes", "checksum")
    assert {name: listed[name] for name in same} == {name: shop.backup[name] for name in same}
    checked = stranded.json("repo", "check", "--level", "read")
    assert (checked["ok"], checked["problems"]) == (True, [])
    assert checked["bytesRead"] > 0
    target = shop.server.url("brought back")
    done = stranded.json("repo", "restore", "latest", "--target", target.without_password())
    try:
        assert (done["backupId"], done["status"]) == (shop.backup["jobId"], "completed")
        assert orders(target) == orders(shop.source)
    finally:
        drop_database(target)
    assert not stranded.path.joinpath("prefect").exists()
    assert not stranded.path.joinpath("postgres").exists()


def test_a_catalog_is_rebuilt_from_the_repository(shop: Shop, stranded: Home) -> None:
    try:
        rebuilt = stranded.json("repo", "rebuild-catalog")
        assert (rebuilt["added"], rebuilt["auditLines"] > 0) == (1, True)  # who made the backup is known again, too
        assert stranded.json("repo", "rebuild-catalog") == {"added": 0, "auditLines": 0}
        (row,) = stranded.json("list")
        assert (row["jobId"], row["status"]) == (shop.backup["jobId"], "completed")
    finally:
        assert stranded.json("down")["stopped"] == ["postgres"]
    assert stranded.json("down")["stopped"] == []


@pytest.mark.parametrize("name", ['odd "quoted" name', "naïve.бд", "a%b c"])
def test_a_target_may_have_any_name_that_postgresql_allows(name: str, shop: Shop, stranded: Home) -> None:
    target = shop.server.url(name)
    stranded.json("repo", "restore", shop.backup["jobId"], "--target", target.without_password())
    try:
        assert name in databases(shop.server)
        assert orders(target) == orders(shop.source)
    finally:
        drop_database(target)


def test_a_restore_never_lands_on_something_that_is_there(shop: Shop, stranded: Home) -> None:
    before = databases(shop.server)
    refused = stranded.error(4, "repo", "restore", "latest", "--target", shop.source.without_password())
    assert refused["code"] == "HF-401"
    assert orders(shop.source)[0] == 2000
    assert databases(shop.server) == before


def test_every_damaged_object_is_named_and_none_is_restored(shop: Shop, stranded: Home) -> None:
    chunks = sorted(path for path in (backups(stranded) / "chunks").rglob("*") if path.is_file())
    chunks[0].write_bytes(chunks[0].read_bytes()[:-1] + b"?")
    chunks[-1].unlink()
    ran = stranded.run("repo", "check", "--level", "read", "--json")
    assert ran.code == 5
    named = {problem["object"] for problem in ran.document["problems"]}
    assert {str(path.relative_to(backups(stranded))) for path in (chunks[0], chunks[-1])} <= named
    told = stranded.run("repo", "check")
    assert told.code == 5
    assert all(name in told.out for name in named)
    before = databases(shop.server)
    refused = stranded.error(5, "repo", "restore", "latest", "--target", shop.server.url("never").without_password())
    assert refused["message"]
    assert databases(shop.server) == before


def test_a_check_of_parts_sees_the_whole_in_as_many_runs(stranded: Home) -> None:
    whole = stranded.json("repo", "check")["chunksRead"]
    assert sum(stranded.json("repo", "check", "--subset", f"{part}/3")["chunksRead"] for part in (1, 2, 3)) == whole
    for wrong in ("0/3", "4/3", "3", "a/b"):
        assert "1/7" in stranded.error(2, "repo", "check", "--subset", wrong)["reason"]


def test_check_works_on_what_can_not_be_opened_any_more(stranded: Home) -> None:
    (backups(stranded) / "repository.json").write_text("{")
    assert stranded.error(5, "repo", "list")["code"] == "HF-500"
    ran = stranded.run("repo", "check", "--json")
    assert ran.code == 5
    assert "repository.json" in {problem["object"] for problem in ran.document["problems"]}
    assert stranded.json("repo", "repair")["repaired"]
    assert stranded.json("repo", "check")["ok"]
    assert stranded.error(4, "repo", "repair")["message"]


def test_a_damaged_backup_is_listed_as_damaged(shop: Shop, stranded: Home) -> None:
    manifest = backups(stranded) / "manifests" / "database" / shop.backup["jobId"]
    manifest.write_bytes(b"x" * manifest.stat().st_size)
    (listed,) = stranded.json("repo", "list")
    assert (listed["status"], listed["jobId"]) == ("damaged", shop.backup["jobId"])
    assert listed["error"]
    assert stranded.error(5, "repo", "restore", "latest", "--target", "postgresql://nobody@127.0.0.1:1/x")["message"]


def test_what_is_not_there_is_not_found(stranded: Home) -> None:
    target = ("--target", "postgresql://nobody@127.0.0.1:1/x")
    assert stranded.error(3, "repo", "restore", "backup_1000000000_abcdef", *target)["nextStep"]
    assert stranded.error(3, "repo", "list", BACKUP_STORAGE_PATH=str(stranded.path / "nowhere"))["code"] == "HF-300"
    assert not (stranded.path / "nowhere").exists()
    assert stranded.error(2, "repo", "list", BACKUP_ENCRYPTION_KEY=ANOTHER_KEY)["code"] == "HF-202"


def test_a_server_that_does_not_answer_is_unreachable(stranded: Home) -> None:
    error = stranded.error(7, "repo", "restore", "latest", "--target", "postgresql://nobody@127.0.0.1:1/x")
    assert error["code"] == "HF-702"


def test_prune_waits_for_those_at_work_and_deletes_nothing_that_is_needed(stranded: Home) -> None:
    from holdfast.repository import Repository, UserKey
    from holdfast.storage import LocalStorage

    repository = Repository.open(LocalStorage(backups(stranded)), key=UserKey.parse(KEY))
    with repository.lease("backup", holder="somebody else"):
        busy = stranded.error(6, "repo", "prune")
    assert "somebody else" in str(busy)
    repository.close()
    assert stranded.json("repo", "prune", "--dry-run", "--grace", "0")["chunksDeleted"] == 0
    assert stranded.json("repo", "prune", "--grace", "0")["chunksDeleted"] == 0
    assert stranded.json("repo", "check")["ok"]


def test_other_settings_may_be_lost_or_wrong(stranded: Home) -> None:
    wrong = {"BACKUP_DATABASE_INTERVAL": "often", "BACKUP_COMPRESSION_ALGORITHM": "magic", "BACKUP_CATALOG_URL": "gone"}
    assert len(stranded.json("repo", "list", **wrong)) == 1
    assert stranded.json("repo", "check", "--level", "stored", **wrong)["ok"]
