"""Backups as flows: what a user sees of them in Prefect and in the catalog, and what is left when they go wrong."""

from __future__ import annotations

import hashlib
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import SecretStr

from blocks import BackupStorage, DatabaseTarget, EncryptionKey
from flows.database_backup import database_backup
from holdfast.errors import (
    BusyError,
    DatabaseUnreachableError,
    HoldfastError,
    NotFoundError,
    RefusedError,
    TimeLimitError,
    WrongKeyError,
)
from holdfast.jobs import new_job_id
from tests.flows.conftest import KEY, PASSWORD, Installation, until


@pytest.fixture(scope="module")
def made(installation: Installation) -> dict[str, Any]:
    """A backup that went well."""
    return database_backup()


def test_a_backup_answers_with_the_job_that_the_repository_holds(installation: Installation, made: dict[str, Any]) -> None:
    manifest = installation.repository.manifest(made["jobId"])
    assert made["status"] == "completed"
    assert made["checksum"] == manifest.checksum
    assert made["sizeBytes"] == manifest.size_bytes > 0
    assert made["storedBytes"] == manifest.stored_bytes > 0
    assert made["verifiedLevel"] == "stored"
    assert made["location"].endswith(f"/manifests/database/{made['jobId']}")
    assert made["startedAt"] < made["completedAt"]
    assert {entry.name for entry in manifest.entries} == {"globals", "base", "table/public.articles", "truth"}


def test_the_row_tells_all_of_a_backup_that_went_well(installation: Installation, made: dict[str, Any]) -> None:
    row = installation.row(made["jobId"])
    assert (row.status, row.checksum, row.location) == ("completed", made["checksum"], made["location"])
    assert row.size_bytes == made["sizeBytes"]
    assert row.error_message is None
    known = {"leaseId", "repositoryId", "host", "pid", "flowRunId", "storedBytes", "newChunks", "verifiedLevel", "snapshotAt"}
    assert known | {"entries", "source", "durationSeconds"} <= row.metadata.keys()


def test_events_tell_automations_that_a_backup_began_and_ended(installation: Installation, made: dict[str, Any]) -> None:
    events = installation.events(made["jobId"])
    assert events.keys() == {"holdfast.backup.started", "holdfast.backup.completed"}
    told = events["holdfast.backup.completed"]
    assert {name: told[name] for name in ("jobId", "type", "sizeBytes", "checksum")} == {
        name: made[name] for name in ("jobId", "type", "sizeBytes", "checksum")
    }


def test_the_ui_shows_named_tasks_a_bar_the_entries_and_a_summary(installation: Installation, made: dict[str, Any]) -> None:
    run = installation.flow_run(made["jobId"])
    names = {"look at the source", "dump definitions and small tables", "dump public.articles", "dump roles", "count rows"}
    assert names | {"note the truth", "commit"} == installation.task_names(run.id)
    assert installation.artifacts("database-backup-progress")[-1] == 100
    entries = json.loads(installation.artifacts("database-backup-entries")[-1])
    assert {entry["entry"]: entry["rows"] for entry in entries}["table/public.articles"] == 6000
    assert made["jobId"] in installation.artifacts("database-backup-summary")[-1]


def test_a_second_backup_under_the_id_of_a_completed_one_is_refused(installation: Installation, made: dict[str, Any]) -> None:
    with pytest.raises(RefusedError, match=made["jobId"]):
        database_backup(job_id=made["jobId"])
    assert installation.row(made["jobId"]).status == "completed"


@pytest.fixture(scope="module")
def odd_blocks(installation: Installation) -> None:
    """Blocks that lead nowhere: a closed port, a wrong key, an empty folder."""
    DatabaseTarget(url=SecretStr(f"postgresql://me:{PASSWORD}@127.0.0.1:9/none")).save("closed-port")
    EncryptionKey(key=SecretStr("another key, also long enough")).save("wrong-key")
    BackupStorage(path=installation.home / "empty").save("empty-folder")


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"database": "closed-port"}, DatabaseUnreachableError),
        ({"key": "wrong-key"}, WrongKeyError),
        ({"storage": "empty-folder"}, NotFoundError),
        ({"database": "no-such-block"}, NotFoundError),
    ],
)
@pytest.mark.usefixtures("odd_blocks")
def test_a_backup_that_fails_says_so_in_its_row_and_in_an_event(
    installation: Installation, given: dict[str, str], error: type[HoldfastError]
) -> None:
    job_id = new_job_id("backup")
    with pytest.raises(error) as raised:
        database_backup(job_id=job_id, **given)
    row = installation.row(job_id)
    assert (row.status, row.error_message) == ("failed", str(raised.value))
    failed = installation.events(job_id)["holdfast.backup.failed"]
    assert (failed["code"], failed["error"]) == (error.code, str(raised.value))
    assert job_id not in {backup.id for backup in installation.repository.backups()}
    assert [lease for lease in installation.repository.leases() if not lease.expired] == []


def test_a_hung_pg_dump_is_stopped_when_the_time_is_up(
    installation: Installation,
    monkeypatch: pytest.MonkeyPatch,
    hung_tools: Path,
    hung_children: Callable[[], list[psutil.Process]],
) -> None:
    monkeypatch.setenv("BACKUP_POSTGRES_TOOLS", str(hung_tools))
    monkeypatch.setenv("BACKUP_DUMP_TIME_LIMIT_MINUTES", "0.03")
    job_id = new_job_id("backup")
    with pytest.raises(TimeLimitError):
        database_backup(job_id=job_id)
    assert installation.row(job_id).status == "failed"
    assert hung_children() == []


@pytest.fixture
def hung_backup(installation: Installation, hung_tools: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A backup in another process that has begun and does not come to an end."""
    job_id = new_job_id("backup")
    process = installation.start_backup(job_id, BACKUP_POSTGRES_TOOLS=str(hung_tools))
    try:
        installation.wait_for_status(job_id, "running")
        yield job_id, psutil.Process(process.pid)
    finally:
        process.kill()
        process.communicate()


def test_one_database_is_backed_up_by_one_run_at_a_time_and_a_killed_one_is_in_nobodys_way(
    installation: Installation, hung_backup: tuple[str, psutil.Process], hung_children: Callable[[], list[psutil.Process]]
) -> None:
    job_id, process = hung_backup
    refused = new_job_id("backup")
    with pytest.raises(BusyError, match=rf"{process.pid} has been since"):
        database_backup(job_id=refused)
    assert installation.row(refused).status == "failed"
    assert installation.row(job_id).status == "running", "living work was taken for dead"
    until(lambda: bool(hung_children()))
    process.kill()
    process.wait()
    after = database_backup()
    assert after["status"] == "completed"
    dead = installation.row(job_id)
    assert (dead.status, dead.error_message) == ("failed", "its process died before it had ended")
    assert installation.events(job_id)["holdfast.backup.failed"]["error"] == dead.error_message
    assert installation.flow_run(job_id).state_name == "Crashed"
    until(lambda: not hung_children())
    assert job_id not in {backup.id for backup in installation.repository.backups()}


def test_a_cancelled_backup_is_closed_as_cancelled_and_leaves_no_child(
    installation: Installation, hung_backup: tuple[str, psutil.Process], hung_children: Callable[[], list[psutil.Process]]
) -> None:
    job_id, process = hung_backup
    until(lambda: bool(hung_children()))
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=30)
    assert installation.row(job_id).status == "cancelled"
    assert "holdfast.backup.cancelled" in installation.events(job_id)
    until(lambda: not hung_children())
    assert installation.row(job_id).metadata["leaseId"] not in {lease.id for lease in installation.repository.leases()}


def test_a_backup_completes_while_the_catalog_is_down_and_the_next_run_writes_its_row(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as without_catalog:
        without_catalog.setenv("BACKUP_CATALOG_URL", "postgresql://nobody@127.0.0.1:9/none")
        unseen = database_backup()
    assert unseen["status"] == "completed"
    with installation.catalog() as catalog:
        assert catalog.job(unseen["jobId"]) is None
    database_backup()
    row = installation.row(unseen["jobId"])
    assert (row.status, row.checksum) == ("completed", unseen["checksum"])


@pytest.mark.usefixtures("odd_blocks")
def test_no_secret_and_no_row_is_anywhere_in_prefect_or_the_catalog(installation: Installation) -> None:
    jobs = [new_job_id("backup") for _ in range(2)]
    database_backup(job_id=jobs[0])
    with pytest.raises(DatabaseUnreachableError):
        database_backup(job_id=jobs[1], database="closed-port")
    said = [installation.events(job_id) for job_id in jobs]
    for job_id in jobs:
        run = installation.flow_run(job_id)
        said += [run.model_dump(mode="json"), installation.row(job_id).metadata, installation.row(job_id).error_message]
        until(lambda run_id=run.id: bool(installation.logs(run_id)))
        said.append(installation.logs(run.id))
    text = json.dumps(said, default=str)
    folders = [installation.home / "prefect", installation.home / "logs"]
    kept = b"".join(path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file())
    row = "".join(hashlib.md5(text.encode()).hexdigest() for text in ("1", "2"))  # the source's first
    assert installation.sql("SELECT body FROM articles WHERE id = 1") == [(row,)]
    for canary in (KEY, PASSWORD, row):
        assert canary not in text
        assert canary.encode() not in kept
