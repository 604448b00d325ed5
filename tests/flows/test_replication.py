"""Replications as flows: every backup lies where it should, each row tells where, and no replica hinders another."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blocks import BackupStorage
from flows.database_backup import database_backup
from flows.replication import replication
from flows.restore import restore
from flows.verification import verification
from holdfast.errors import NotFoundError, ReplicationFailedError
from holdfast.jobs import new_job_id
from holdfast.repository import Repository
from holdfast.storage import LocalStorage
from tests.flows.conftest import Installation
from tests.postgres.servers import drop_database


@pytest.fixture(scope="module")
def folders(installation: Installation) -> list[Path]:
    """Where two replicas go, on the medium of the primary; the second is a block's."""
    root = installation.home.parent / "replicas"
    BackupStorage(path=root / "elsewhere", offsite=True).save("elsewhere", overwrite=True)
    return [root / "beside", root / "elsewhere"]


@pytest.fixture
def places(folders: list[Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """Two replicas, one named by its URL and one by a block; nothing is in them yet."""
    monkeypatch.setenv("BACKUP_REPLICAS", f"{folders[0].as_uri()},elsewhere")
    yield folders
    for folder in folders:
        folder.unlink() if folder.is_file() else shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def backup_id(installation: Installation) -> str:
    """The newest backup."""
    del installation
    return str(database_backup()["jobId"])


def held_in(folder: Path, installation: Installation) -> list[str]:
    """List the backups that a replica holds, opened as a repository of its own."""
    repository = Repository.open(LocalStorage(folder), key=installation.settings.user_key())
    try:
        assert repository.check().problems == []
        return [backup.id for backup in repository.backups()]
    finally:
        repository.close()


def test_every_backup_lies_in_every_replica_and_its_row_tells_where(
    installation: Installation, places: list[Path], backup_id: str
) -> None:
    done = replication()
    assert (done["type"], done["status"]) == ("replication", "completed")
    assert [(one["name"], one["ok"], one["problems"]) for one in done["replicas"]] == [
        (places[0].as_uri(), True, []),
        ("elsewhere", True, []),
    ]
    held = [backup.id for backup in installation.repository.backups()]
    assert all(one["backups"] == len(held) for one in done["replicas"])
    assert all(held_in(place, installation) == held for place in places)
    copies = installation.row(backup_id).metadata["copies"]
    assert [copy["storage"] for copy in copies] == ["primary", places[0].as_uri(), "elsewhere"]
    assert [copy["offsite"] for copy in copies] == [False, False, True]
    assert all(copy["kind"] == "local" and copy["verifiedAt"] for copy in copies)


def test_what_is_there_is_not_copied_again(places: list[Path], backup_id: str) -> None:
    del places, backup_id
    first, second = replication(), replication()
    assert all(one["copiedObjects"] > 0 for one in first["replicas"])
    assert [one["copiedObjects"] for one in second["replicas"]] == [0, 0]


def test_the_ui_and_events_tell_of_each_replica(installation: Installation, places: list[Path], backup_id: str) -> None:
    done = replication(job_id=(job_id := new_job_id("replicate")))
    events = installation.events(job_id)
    assert events.keys() == {"holdfast.replication.started", "holdfast.replication.completed"}
    assert events["holdfast.replication.completed"]["replicas"] == done["replicas"]
    names = [row["replica"] for row in json.loads(installation.artifacts("replication-replicas")[-1])]
    assert names == [places[0].as_uri(), "elsewhere"]
    (row,) = [row for row in json.loads(installation.artifacts("replication-copies")[-1]) if row["backup"] == backup_id]
    assert (row["copies"], row["3-2-1"]) == (3, "lacks a second medium")
    assert job_id in installation.artifacts("replication-summary")[-1]
    assert installation.artifacts("replication-progress")[-1] == 100


@pytest.fixture
def spoiled(places: list[Path]) -> list[Path]:
    """The first replica's place is taken by something else."""
    places[0].mkdir()
    (places[0] / "repository.json").write_text('{"format": "not ours"}')
    return places


def test_a_replica_that_fails_hinders_no_other_and_the_run_says_which(
    installation: Installation, spoiled: list[Path], backup_id: str
) -> None:
    job_id = new_job_id("replicate")
    with pytest.raises(ReplicationFailedError, match=spoiled[0].as_uri()) as raised:
        replication(job_id=job_id)
    found: dict[str, Any] = dict(raised.value.found or {})
    assert (found["jobId"], found["status"]) == (job_id, "failed")
    assert [one["ok"] for one in found["replicas"]] == [False, True]
    assert found["replicas"][0]["problems"]
    assert backup_id in held_in(spoiled[1], installation)
    assert [copy["storage"] for copy in installation.row(backup_id).metadata["copies"]] == ["primary", "elsewhere"]
    failed = installation.events(job_id)["holdfast.replication.failed"]
    assert (failed["code"], failed["replicas"]) == (ReplicationFailedError.code, found["replicas"])


def test_a_replica_that_can_not_be_reached_now_keeps_what_was_recorded_of_it(
    installation: Installation, places: list[Path], backup_id: str
) -> None:
    replication()
    before = installation.row(backup_id).metadata["copies"]
    shutil.rmtree(places[0])
    places[0].write_text("a disk that is not mounted")
    with pytest.raises(ReplicationFailedError):
        replication()
    after = {copy["storage"]: copy for copy in installation.row(backup_id).metadata["copies"]}
    assert after[places[0].as_uri()] == before[1]
    assert after["elsewhere"]["verifiedAt"] > before[2]["verifiedAt"]


def test_only_the_replicas_that_are_named_are_brought_up_to_date(places: list[Path], backup_id: str) -> None:
    del backup_id
    (done,) = replication(replicas=["elsewhere"])["replicas"]
    assert (done["name"], done["ok"]) == ("elsewhere", True)
    assert not places[0].exists()


def test_without_replicas_there_is_nothing_to_do(backup_id: str) -> None:
    del backup_id
    done = replication()
    assert (done["status"], done["replicas"]) == ("completed", [])


@pytest.fixture
def target(installation: Installation) -> Iterator[str]:
    """A database that does not exist yet."""
    url = installation.source.with_database("from_a_replica")
    yield url.without_password()
    drop_database(url)


@pytest.fixture
def hidden_primary(installation: Installation, places: list[Path], backup_id: str) -> Iterator[str]:
    """The primary is gone; the replicas have its newest backup."""
    del places
    replication()
    repository = installation.home / "repository"
    repository.rename(installation.home / "hidden")
    yield backup_id
    if repository.exists():
        shutil.rmtree(repository)
    (installation.home / "hidden").rename(repository)


def test_a_restore_reads_from_a_replica_where_the_primary_is_gone(
    installation: Installation, places: list[Path], hidden_primary: str, target: str
) -> None:
    done = restore(target=target)
    assert (done["backupId"], done["readFrom"], done["proven"]) == (hidden_primary, places[0].as_uri(), True)
    assert any("read from the replica" in note for note in done["notes"])
    assert installation.sql("SELECT count(*) FROM articles", database="from_a_replica") == [(6000,)]
    assert not (installation.home / "repository").exists(), "a folder was made where the primary was"


def test_a_restore_from_a_replica_by_name_leaves_the_primary_alone(
    installation: Installation, places: list[Path], backup_id: str, target: str
) -> None:
    del places
    replication()
    assert restore(target=target, from_replica="elsewhere")["readFrom"] == "elsewhere"
    assert installation.sql("SELECT count(*) FROM articles", database="from_a_replica") == [(6000,)]
    with pytest.raises(NotFoundError, match="nowhere"):
        restore(target=target, backup_id=backup_id, from_replica="nowhere")


def test_a_restore_takes_damaged_chunks_from_a_replica_and_says_so(
    installation: Installation, places: list[Path], backup_id: str, target: str
) -> None:
    del backup_id
    replication()
    chunk = damage_one(installation)
    done = restore(target=target)
    assert (done["proven"], done["readFrom"]) == (True, None)
    assert any(chunk in note and places[0].as_uri() in note for note in done["notes"])
    assert chunk in {path.name for path in (installation.home / "repository" / "chunks").rglob("*")}
    verification(level="read")  # which heals it


def test_a_verification_heals_from_a_replica_what_it_finds_damaged(
    installation: Installation, places: list[Path], backup_id: str
) -> None:
    del places
    replication()
    chunk = damage_one(installation)
    found = verification(level="proven")
    assert (found["backupId"], found["ok"], found["problems"], found["verifiedLevel"]) == (backup_id, True, [], "proven")
    assert any(chunk in note and "healed" in note for note in found["notes"])
    assert installation.repository.check().problems == []


def test_a_verification_of_a_replica_leaves_its_proof_there(
    installation: Installation, places: list[Path], backup_id: str
) -> None:
    replication()
    before = installation.row(backup_id).metadata
    proofs = installation.repository.proofs(backup_id)
    found = verification(level="read", from_replica="elsewhere")
    assert (found["ok"], found["backupId"], found["readFrom"]) == (True, backup_id, "elsewhere")
    there = Repository.open(LocalStorage(places[1]), key=installation.settings.user_key())
    newest, *others = there.proofs(backup_id)
    there.close()
    assert (newest.level, newest.ok) == ("read", True)
    assert others == proofs == installation.repository.proofs(backup_id)
    after = installation.row(backup_id).metadata
    assert after["verifiedLevel"] == before["verifiedLevel"]
    newer = {copy["storage"]: copy["verifiedAt"] for copy in after["copies"]}
    assert newer["elsewhere"] > {copy["storage"]: copy["verifiedAt"] for copy in before["copies"]}["elsewhere"]


def damage_one(installation: Installation) -> str:
    """Change a byte of the primary's largest chunk, and return its name."""
    chunks = [path for path in (installation.home / "repository" / "chunks").rglob("*") if path.is_file()]
    largest = max(chunks, key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)
    return largest.name
