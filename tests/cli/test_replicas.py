"""More than one place: what is copied, where is read from when the primary is gone, what is healed, what status says."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import KEY, Home, Shop, orders
from tests.postgres.servers import drop_database, server_folder


@pytest.fixture
def stranded(shop: Shop) -> Iterator[Home]:
    """Another host: a copy of the storage, the key, and an empty place for a replica; nothing else in the world."""
    with server_folder() as root:
        shutil.copytree(shop.home.path / "repository", root / "backups")
        settings = {
            "BACKUP_STORAGE_PATH": str(root / "backups"),
            "BACKUP_ENCRYPTION_KEY": KEY,
            "BACKUP_REPLICAS": (root / "replica").as_uri(),
        }
        yield Home(root / "elsewhere", settings)


def primary(home: Home) -> Path:
    return Path(home.settings["BACKUP_STORAGE_PATH"])


def replica(home: Home) -> Path:
    return primary(home).parent / "replica"


def flat(text: str) -> str:
    """Undo how a terminal breaks lines."""
    return " ".join(text.split())


def damage(folder: Path) -> str:
    """Spoil the largest chunk below a folder, and return its name in the repository."""
    chunks = [path for path in (folder / "chunks").rglob("*") if path.is_file()]
    largest = max(chunks, key=lambda path: path.stat().st_size)
    largest.write_bytes(b"?" * largest.stat().st_size)
    return str(largest.relative_to(folder))


@pytest.mark.parametrize("key", [KEY, None], ids=["with the key", "without a key"])
def test_what_a_replica_lacks_is_copied_once(key: str | None, shop: Shop, stranded: Home) -> None:
    done = stranded.json("repo", "replicate", BACKUP_ENCRYPTION_KEY=key)
    assert (done["type"], done["status"]) == ("replication", "completed")
    (one,) = done["replicas"]
    assert (one["name"], one["location"]) == (replica(stranded).as_uri(), replica(stranded).as_uri())
    assert (one["ok"], one["problems"]) == (True, [])
    assert one["copiedObjects"] > 0
    assert one["copiedBytes"] > 0
    (again,) = stranded.json("repo", "replicate", BACKUP_ENCRYPTION_KEY=key)["replicas"]
    assert (again["copiedObjects"], again["ok"]) == (0, True)
    assert shop.backup["jobId"] in [one["jobId"] for one in stranded.json("repo", "list", "--from", again["name"])]
    assert stranded.json("repo", "check", "--from", again["name"])["ok"]
    assert not stranded.path.exists(), "something was made in a home that nothing needs"


def test_a_lost_primary_is_read_from_a_replica_and_it_is_said(shop: Shop, stranded: Home) -> None:
    stranded.json("repo", "replicate")
    shutil.rmtree(primary(stranded))
    ran = stranded.run("repo", "list", "--json")
    assert ran.code == 0
    assert shop.backup["jobId"] in [one["jobId"] for one in ran.document]
    assert f"comes from the replica {replica(stranded).as_uri()}" in flat(ran.err)
    target = shop.server.url("from_elsewhere")
    named = ("--from", replica(stranded).as_uri())
    for how, settings in (((), {}), (named, {"BACKUP_REPLICAS": None})):
        done = stranded.json("repo", "restore", "latest", *how, "--target", target.without_password(), **settings)
        try:
            assert done["readFrom"] == replica(stranded).as_uri()
            assert orders(target) == orders(shop.source)
        finally:
            drop_database(target)
    assert not primary(stranded).exists(), "a folder was made where the primary was"


def test_when_no_copy_can_be_read_the_reason_of_each_is_told(stranded: Home) -> None:
    error = stranded.error(3, "repo", "list", BACKUP_STORAGE_PATH=str(stranded.path / "nowhere"))
    assert "no such folder" in error["reason"]
    assert replica(stranded).as_uri() in error["reason"]
    assert not replica(stranded).exists()


def test_damage_is_healed_from_a_replica_and_what_was_healed_is_said(stranded: Home) -> None:
    stranded.json("repo", "replicate")
    chunk = damage(primary(stranded))
    found = stranded.json("repo", "check", code=5)
    assert {problem["object"]: problem["harmsContent"] for problem in found["problems"]} == {chunk: False}
    assert replica(stranded).as_uri() in found["problems"][0]["what"]
    healed = stranded.json("repo", "check", "--repair")
    assert (healed["ok"], healed["problems"], healed["objectsHealed"]) == (True, [], 1)
    assert [(one["object"], one["replica"]) for one in healed["healed"]] == [(chunk, replica(stranded).as_uri())]
    assert stranded.json("repo", "check")["ok"]
    damage(primary(stranded))
    told = stranded.run("repo", "check", "--repair", COLUMNS="300")
    assert (told.code, "Healed 1 object" in told.out, chunk in told.out) == (0, True, True)


def test_a_replica_is_healed_from_the_primary(stranded: Home) -> None:
    stranded.json("repo", "replicate")
    chunk, name = damage(replica(stranded)), replica(stranded).as_uri()
    assert [problem["object"] for problem in stranded.json("repo", "check", "--from", name, code=5)["problems"]] == [chunk]
    healed = stranded.json("repo", "check", "--from", name, "--repair")
    assert [(one["object"], one["replica"]) for one in healed["healed"]] == [(chunk, "primary")]
    assert stranded.json("repo", "check", "--from", name)["ok"]


def test_a_damaged_chunk_is_restored_from_a_replica_without_being_asked(shop: Shop, stranded: Home) -> None:
    stranded.json("repo", "replicate")
    for chunk in (path for path in (primary(stranded) / "chunks").rglob("*") if path.is_file()):
        chunk.unlink()
    target = shop.server.url("spared")
    done = stranded.json("repo", "restore", "latest", "--target", target.without_password())
    try:
        assert done["readFrom"] is None
        assert any(replica(stranded).as_uri() in note for note in done["notes"])
        assert orders(target) == orders(shop.source)
    finally:
        drop_database(target)


def test_one_replica_that_fails_ends_with_1_and_the_others_are_done(stranded: Home) -> None:
    taken = primary(stranded).parent / "taken"
    taken.write_text("this is no folder")
    ran = stranded.run("repo", "replicate", "--to", taken.as_uri(), "--to", replica(stranded).as_uri(), "--json")
    assert ran.code == 1
    assert [one["ok"] for one in ran.document["replicas"]] == [False, True]
    assert ran.document["status"] == "failed"
    assert ran.document["replicas"][0]["problems"]
    assert "1 of 2 replicas" in ran.err
    told = stranded.run("repo", "replicate", "--to", taken.as_uri())
    assert (told.code, taken.as_uri() in told.out) == (1, True)


def test_a_replica_that_nobody_knows_is_named(stranded: Home) -> None:
    assert "BACKUP_REPLICAS" in stranded.error(2, "repo", "replicate", BACKUP_REPLICAS=None)["nextStep"]
    assert stranded.error(3, "repo", "list", "--from", (primary(stranded) / "nowhere").as_uri())["nextStep"]
    assert stranded.error(2, "repo", "list", "--from", "ftp://nowhere/x")["message"]


@pytest.fixture
def copied(shop: Shop) -> Iterator[dict[str, str]]:
    """What makes the shop have two replicas."""
    with server_folder() as root:
        yield {"BACKUP_REPLICAS": f"{(root / 'one').as_uri()},{(root / 'two').as_uri()}"}


def test_a_backup_by_hand_is_copied_at_once_and_says_where_it_lies(shop: Shop, copied: dict[str, str]) -> None:
    names = copied["BACKUP_REPLICAS"].split(",")
    job = shop.home.json("backup", "database", **copied)
    assert [copy["storage"] for copy in job["copies"]] == ["primary", *names]
    assert all(copy["live"] and copy["kind"] == "local" and not copy["offsite"] for copy in job["copies"])
    listed = {one["jobId"]: one for one in shop.home.json("list", **copied)}
    assert len(listed[job["jobId"]]["copies"]) == 3
    status = shop.home.json("status", **copied)
    (newest, *_) = status["backups"]
    assert newest["jobId"] == job["jobId"]
    assert newest["threeTwoOne"] == {"holds": False, "missing": ["a second medium", "a copy off-site"]}
    assert [(one["name"], one["ok"], one["behind"]) for one in status["replicas"]] == [(name, True, 0) for name in names]
    replica = Path(names[0].removeprefix("file://"))
    held = sorted(path.name for path in (replica / "manifests" / "database").iterdir())
    assert held == sorted(one["jobId"] for one in shop.home.json("repo", "list"))


def test_a_backup_whose_replica_fails_is_made_and_ends_with_1(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("this is no folder")
    broken = (tmp_path / "taken").as_uri()
    ran = shop.home.run("backup", "database", "--json", BACKUP_REPLICAS=f"{broken},{(tmp_path / 'good').as_uri()}")
    assert ran.code == 1
    assert ran.document["status"] == "completed"
    assert [copy["storage"] for copy in ran.document["copies"]] == ["primary", (tmp_path / "good").as_uri()]
    assert broken in ran.err
    assert ran.document["jobId"] in [one["jobId"] for one in shop.home.json("repo", "list")]


@pytest.fixture
def silent(shop: Shop) -> Iterator[dict[str, str]]:
    """A bucket at a server that takes connections and never answers."""
    del shop
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield {
            "BACKUP_REPLICAS": "s3://offsite/shop",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.getsockname()[1]}",
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing at all",
            "AWS_DEFAULT_REGION": "us-east-1",
        }


def test_status_waits_for_nobody_who_does_not_answer_and_tells_what_was_recorded(shop: Shop, silent: dict[str, str]) -> None:
    from holdfast.opening import open_catalog
    from holdfast.settings import load_settings

    newest = shop.home.json("status")["backups"][0]["jobId"]
    copy = {"storage": "s3://offsite/shop", "location": "s3://offsite/shop", "kind": "s3", "medium": "s3 x", "offsite": True}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOLDFAST_HOME", str(shop.home.path))
        with closing(open_catalog(load_settings())) as catalog:
            at = datetime(2026, 11, 23, tzinfo=UTC).isoformat()
            catalog.note_job(newest, {"copies": [{**copy, "verifiedAt": at}]})
    status: dict[str, Any] = shop.home.json("status", **silent)
    (replica,) = status["replicas"]
    assert replica["ok"] is False
    assert "did not answer" in replica["error"]
    known = status["backups"][0]["copies"]
    assert [(one["storage"], one["live"]) for one in known] == [("primary", True), ("s3://offsite/shop", False)]
    assert datetime.fromisoformat(known[1]["asOf"]) == datetime(2026, 11, 23, tzinfo=UTC)
    told = shop.home.run("status", COLUMNS="100", **silent)
    assert "s3://offsite/shop (as of 2026-11-23 00:00)" in flat(told.out)
    assert max(len(line) for line in told.out.splitlines()) <= 100


def test_status_tells_what_a_replica_holds_while_the_primary_is_gone(shop: Shop, copied: dict[str, str]) -> None:
    shop.home.json("repo", "replicate", **copied)
    gone = copied | {"BACKUP_STORAGE_PATH": str(shop.home.path / "nowhere")}
    status = shop.home.json("status", **gone)
    name = copied["BACKUP_REPLICAS"].split(",")[0]
    assert (status["repository"]["ok"], status["repository"]["readFrom"]) == (False, name)
    assert status["types"][0]["lastGood"]["jobId"] == status["backups"][0]["jobId"]
    assert [copy["storage"] for copy in status["backups"][0]["copies"]] == copied["BACKUP_REPLICAS"].split(",")
    told = shop.home.run("status", COLUMNS="100", **gone)
    assert (told.code, "no such folder" in flat(told.out)) == (0, True)
    assert not (shop.home.path / "nowhere").exists()
