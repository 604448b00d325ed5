"""The daily commands, run as a user runs them: processes, a real home, a real Prefect server."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta

import psutil
import pytest

from holdfast.postgres.connection import connect
from tests.cli.conftest import HOLDFAST, Shop, databases, execute, orders
from tests.cli.test_answers import on_terminal
from tests.postgres.servers import drop_database, server_folder

JOB = {
    "jobId",
    "type",
    "status",
    "sizeBytes",
    "storedBytes",
    "checksum",
    "location",
    "startedAt",
    "completedAt",
    "verifiedLevel",
    "error",
}


def test_init_says_what_it_made_and_changes_nothing_the_second_time(shop: Shop) -> None:
    assert shop.initialized["repository"]["created"] is True
    assert shop.initialized["repository"]["encrypted"] is True
    assert set(shop.initialized["blocks"]) == {"holdfast-storage", "holdfast-key", "holdfast-database"}
    again = shop.home.json("init")
    assert again["repository"] == shop.initialized["repository"] | {"created": False}
    assert set(shop.initialized["plans"].values()) == {"made"}
    assert again["plans"] == dict.fromkeys(shop.initialized["plans"], "as it was")
    assert again["prefect"] == shop.initialized["prefect"]


def test_a_backup_is_one_job_with_all_that_scripts_rely_on(shop: Shop) -> None:
    job = shop.backup
    assert set(job) >= JOB
    assert re.fullmatch(r"backup_[0-9]{10,}_[0-9a-f]{6}", job["jobId"])
    assert (job["type"], job["status"], job["error"], job["verifiedLevel"]) == ("database", "completed", None, "stored")
    assert job["sizeBytes"] > job["storedBytes"] > 0
    assert re.fullmatch(r"[0-9a-f]{64}", job["checksum"])
    started, ended = datetime.fromisoformat(job["startedAt"]), datetime.fromisoformat(job["completedAt"])
    assert started.utcoffset() == timedelta(0)
    assert started <= ended <= datetime.now(UTC)


def test_list_and_show_tell_the_same_of_a_backup_as_its_run_did(shop: Shop) -> None:
    listed = shop.home.json("list")
    (kept,) = [job for job in listed if job["jobId"] == shop.backup["jobId"]]
    same = JOB - {"verifiedLevel", "startedAt", "completedAt"}  # its run began before the backup did
    assert {name: kept[name] for name in same} == {name: shop.backup[name] for name in same}
    shown = shop.home.json("show", shop.backup["jobId"])
    assert {name: shown[name] for name in same} == {name: shop.backup[name] for name in same}
    assert {"globals", "base", "truth"} <= {entry["name"] for entry in shown["entries"]}
    assert shown["proofs"][-1]["level"] == "stored"
    assert shop.home.json("list", "--type", "config") == []
    assert len(shop.home.json("list", "--limit", "1")) == 1
    assert shop.home.error(3, "show", "backup_1000000000_abcdef")["nextStep"]


def test_verify_proves_a_backup_and_the_level_is_shown_from_then_on(shop: Shop) -> None:
    found = shop.home.json("verify", "latest", "--level", "proven")
    assert (found["ok"], found["level"], found["problems"]) == (True, "proven", [])
    assert found["jobId"].startswith("verify_")
    assert shop.home.json("show", "latest")["verifiedLevel"] == "proven"
    part = shop.home.json("verify", shop.backup["jobId"], "--level", "read", "--subset", "1/7")
    assert (part["ok"], part["level"]) == (True, "read")
    assert shop.home.error(3, "verify", "backup_1000000000_abcdef")["message"]
    assert databases(shop.server) == {"postgres", "shop"}


def test_backup_all_is_a_list_newest_first_in_the_listing(shop: Shop) -> None:
    (job,) = shop.home.json("backup", "all")
    assert job["status"] == "completed"
    listed = shop.home.json("list")
    assert listed[0]["jobId"] == job["jobId"]
    assert [one["startedAt"] for one in listed] == sorted((one["startedAt"] for one in listed), reverse=True)


def test_restore_builds_a_new_database_and_a_dry_run_builds_none(shop: Shop) -> None:
    target = shop.source.with_database("shop again")
    planned = shop.home.json("restore", "latest", "--target", target.without_password(), "--dry-run")
    assert planned["backupId"].startswith("backup_")
    assert "shop again" not in databases(shop.server)
    done = shop.home.json("restore", "latest", "--type", "database", "--mode", "new", "--target", target.without_password())
    try:
        assert done["status"] == "completed"
        assert done["jobId"].startswith("restore_")
        assert orders(target) == orders(shop.source)
        refused = shop.home.error(4, "restore", "latest", "--target", target.without_password())
        assert refused["code"] == "HF-401"
    finally:
        drop_database(target)


def test_a_failed_backup_says_why_and_is_listed_as_failed(shop: Shop) -> None:
    nowhere = shop.source.with_database("not there").without_password()
    assert shop.home.error(3, "backup", "database", BACKUP_DATABASE_URL=nowhere)["message"]
    failed = shop.home.json("list")[0]
    assert (failed["status"], failed["checksum"]) == ("failed", None)
    assert "not there" in failed["error"]
    assert shop.home.json("status")["types"][0]["lastFailure"]["jobId"] == failed["jobId"]
    assert shop.home.json("backup", "database")["status"] == "completed"


def test_a_locked_table_fails_the_backup_and_names_the_table(shop: Shop) -> None:
    with locked(shop, "orders"):
        error = shop.home.error(1, "backup", "database", BACKUP_LOCK_TIMEOUT_SECONDS="1")
    assert error["code"] == "HF-105"
    assert "orders" in str(error)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_backup_cleans_up_says_so_and_is_listed_as_cancelled(number: int, code: int, shop: Shop) -> None:
    with locked(shop, "orders"):
        process = subprocess.Popen(
            [HOLDFAST, "backup", "database", "--json"],
            env=shop.home.environment(BACKUP_LOCK_TIMEOUT_SECONDS="5"),
            cwd=shop.home.path.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_until(lambda: waits_for_a_lock(shop))
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert json.loads(out)["error"]["message"] == "Interrupted"
    assert "Traceback" not in err
    assert psutil.wait_procs(children, timeout=10)[1] == []
    assert shop.home.json("list", "--limit", "1")[0]["status"] == "cancelled"


def test_verify_finds_damage_names_it_and_ends_with_5(shop: Shop) -> None:
    with server_folder() as folder:
        shutil.copytree(shop.home.path / "repository", folder / "copy")
        copy = {"BACKUP_STORAGE_PATH": str(folder / "copy")}
        chunks = [path for path in (folder / "copy" / "chunks").rglob("*") if path.is_file()]
        for chunk in chunks:
            chunk.write_bytes(chunk.read_bytes()[:-9] + b"a mistake")
        found = shop.home.json("verify", shop.backup["jobId"], "--level", "read", code=5, **copy)
        assert (found["ok"], found["level"]) == (False, "read")
        assert found["jobId"].startswith("verify_")
        names = [str(chunk.relative_to(folder / "copy")) for chunk in chunks]
        assert any(name in problem for problem in found["problems"] for name in names)
        told = shop.home.run("verify", shop.backup["jobId"], "--level", "stored", **copy)
        assert (told.code, "did not pass" in told.out) == (5, True)


def test_configuration_is_shown_and_changed_and_holds_no_secret(shop: Shop) -> None:
    shown = shop.home.json("config", "show")
    assert shown["databaseBackupInterval"] == 24
    changed = shop.home.json("config", "update", "databaseBackupInterval=12", "compression_level=3")
    assert (changed["databaseBackupInterval"], changed["compressionLevel"]) == (12, 3)
    assert shop.home.json("config", "show") == changed
    assert shop.home.error(2, "config", "update", "databaseBackupInterval=often")["message"]
    assert shop.home.error(2, "config", "update", "noSuchThing=1")["message"]
    assert shop.home.error(2, "config", "update", "nonsense")["nextStep"]
    assert shop.home.json("config", "show") == changed
    shop.home.json("config", "update", "databaseBackupInterval=24")


def test_status_tells_what_is_up_what_is_down_and_what_to_do(shop: Shop) -> None:
    up = shop.home.json("status")
    database, *others = up["types"]
    assert [(one["type"], one["on"], one["overdue"]) for one in others] == [
        (kind, False, False) for kind in ("function", "config", "secrets")
    ]
    assert all("nothing to back up" in one["offBecause"] for one in others)
    assert database["lastGood"]["jobId"].startswith("backup_")
    assert database["overdue"] is False
    assert up["repository"]["ok"]
    assert up["catalog"]["running"]
    assert up["prefect"]["running"]
    half = shop.home.json("status", BACKUP_ENCRYPTION_KEY=None, BACKUP_CATALOG_URL="postgresql://nobody@127.0.0.1:1/x")
    assert half["repository"]["ok"] is False
    assert half["repository"]["nextStep"]
    assert half["catalog"]["running"] is False
    assert half["prefect"]["running"]
    told = shop.home.run("status", BACKUP_ENCRYPTION_KEY=None)
    assert told.code == 0
    assert "no key" in told.out


def test_what_a_person_sees_names_the_backup_and_stays_calm(shop: Shop) -> None:
    job = shop.home.json("repo", "list", "--limit", "1")[0]["jobId"]
    for arguments in (("list",), ("show", "latest"), ("status",), ("repo", "list"), ("keys", "list"), ("config", "show")):
        for shown in (shop.home.run(*arguments).out, on_terminal(shop.home, *arguments)):
            assert "Traceback" not in shown
            assert "None" not in shown
        if arguments[0] in ("list", "show", "status", "repo"):
            assert job in shown


@contextmanager
def locked(shop: Shop, table: str) -> Iterator[None]:
    """Keep a table of the source locked, as a migration that takes long does."""
    with closing(connect(shop.source, autocommit=False)) as connection, connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


def waits_for_a_lock(shop: Shop) -> bool:
    """Tell whether somebody waits for a lock in the source."""
    return bool(execute(shop.source, "SELECT 1 FROM pg_locks WHERE NOT granted"))


def wait_until(is_so: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for something that other processes bring about."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.1)
