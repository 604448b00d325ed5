"""The health monitor looks after everything, and is heard outside, also while storage, catalog or key are missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.exceptions import ObjectNotFound
from prefect.states import Completed, Scheduled

from blocks import EncryptionKey
from blocks.saving import register_and_save
from flows.database_backup import database_backup
from flows.health_monitor import health_monitor
from holdfast.errors import DatabaseUnreachableError, HoldfastError, KeyMissingError
from holdfast.open_alarms import PREFIX
from orchestration.monitor import KEPT, MONITOR, delete_old_runs
from tests.flows.conftest import Installation
from tests.test_heartbeat import Receiver, receiver

AT_ONCE = 0.0


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """Somebody outside who is told of each run, while no alarm is open: other tests share the installation."""
    monkeypatch.setenv("BACKUP_STORAGE_FULL_PERCENT", "100")
    with get_client(sync_client=True) as client:
        for variable in client.read_variables():
            if variable.name.startswith(PREFIX):
                client.delete_variable_by_name(variable.name)
    with receiver(200) as there:
        monkeypatch.setenv("BACKUP_HEARTBEAT_URL", f"{there.url}/canary-of-the-heartbeat")
        yield there


def heard(there: Receiver) -> list[str]:
    """The signals so far, in order; the text of the last is what counts."""
    return [path.partition("?")[0].removeprefix("/canary-of-the-heartbeat") for path, _, _ in there.beats]


def test_a_run_of_the_monitor_is_heard_outside_and_leaves_little_behind(installation: Installation, outside: Receiver) -> None:
    database_backup()
    del outside.beats[:]
    found = health_monitor(patience_seconds=AT_ONCE)
    assert (found["status"], found["problems"]) == ("completed", [])
    assert heard(outside) == ["/start", ""], outside.beats[-1]
    assert len({path.partition("rid=")[2] for path, _, _ in outside.beats}) == 1
    with get_client(sync_client=True) as client:
        left = client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(like_="monitor")))
    assert left == []


def test_a_good_backup_does_not_hide_a_failed_one_behind_the_same_address(
    installation: Installation, outside: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DatabaseUnreachableError):
        database_backup(database="postgresql://nobody@127.0.0.1:9/none")
    assert heard(outside) == ["/start", "/fail"]
    health_monitor(patience_seconds=AT_ONCE)
    assert heard(outside)[2:] == ["/start", "/fail"]
    assert "the last database backup has failed" in outside.beats[-1][1]
    monkeypatch.setenv("BACKUP_HEARTBEAT_URL", f"{outside.url}/{{type}}/canary-of-the-heartbeat")
    health_monitor(patience_seconds=AT_ONCE)
    assert outside.beats[-1][0].startswith("/monitor/canary-of-the-heartbeat?"), "of a type its own address tells"
    database_backup()
    assert outside.beats[-1][0].startswith("/database/canary-of-the-heartbeat?")


def test_a_receiver_that_is_gone_fails_no_run_and_its_address_is_in_no_log(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("BACKUP_HEARTBEAT_URL", "http://127.0.0.1:9/canary-of-the-heartbeat")
    assert health_monitor(patience_seconds=AT_ONCE)["status"] == "completed"
    assert "The heartbeat did not get out to http://127.0.0.1:9: it can't be reached" in caplog.text
    assert "canary-of-the-heartbeat" not in caplog.text
    with get_client(sync_client=True) as client:
        assert client.read_variable_by_name("holdfast_heartbeat_failing") is not None
        with receiver(200) as there:
            monkeypatch.setenv("BACKUP_HEARTBEAT_URL", there.url)
            health_monitor(patience_seconds=AT_ONCE)
        assert client.read_variable_by_name("holdfast_heartbeat_failing") is None


def test_a_storage_that_is_gone_is_told_and_what_does_not_need_it_is_done(
    installation: Installation, outside: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    folder = installation.home / "repository"
    moved = folder.rename(folder.with_name("away"))
    try:
        with pytest.raises(HoldfastError):
            health_monitor(patience_seconds=AT_ONCE)
    finally:
        moved.rename(folder)
    assert heard(outside) == ["/start", "/fail"]
    assert "The repository of the backups can't be opened" in outside.beats[-1][1]


def test_a_key_that_is_gone_is_told(installation: Installation, outside: Receiver) -> None:
    with _without_key():
        with pytest.raises(KeyMissingError):
            health_monitor(patience_seconds=AT_ONCE)
        assert heard(outside) == ["/start", "/fail"]
        assert "The key of the backups is missing or wrong" in outside.beats[-1][1]
    register_and_save(installation.settings)


def test_a_catalog_that_is_gone_is_told(installation: Installation, outside: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKUP_CATALOG_URL", "postgresql://nobody@127.0.0.1:9/none")
    assert health_monitor(patience_seconds=AT_ONCE)["status"] == "completed"
    assert heard(outside) == ["/start", "/fail"]
    assert "The catalog can't be reached" in outside.beats[-1][1]


def test_old_runs_of_the_monitor_go_and_no_others(installation: Installation) -> None:
    with get_client(sync_client=True) as client:
        flow_id = client.create_flow_from_name("health_monitor")
        ours = client.create_deployment(flow_id=flow_id, name=MONITOR, tags=["holdfast"])
        theirs = client.create_deployment(flow_id=client.create_flow(of_others), name="of-others", tags=["holdfast"])
        try:
            old, young, not_ours = _run(client, ours, KEPT * 2), _run(client, ours, KEPT / 2), _run(client, theirs, KEPT * 2)
            assert delete_old_runs(None) == 1
            with pytest.raises(ObjectNotFound):
                client.read_flow_run(old)
            assert {client.read_flow_run(one).id for one in (young, not_ours)} == {young, not_ours}
        finally:
            for deployment in (ours, theirs):
                client.delete_deployment(deployment)


@flow
def of_others() -> None:
    """A flow that is none of ours."""


def _run(client: SyncPrefectClient, deployment_id: UUID, age: timedelta) -> UUID:
    """A run of a deployment that was due so long ago, and is completed."""
    due = Scheduled(scheduled_time=datetime.now(UTC) - age)
    run = client.create_flow_run_from_deployment(deployment_id, state=due)
    client.set_flow_run_state(run.id, Completed(), force=True)
    return run.id


@contextmanager
def _without_key() -> Iterator[None]:
    with get_client(sync_client=True) as client:
        block = client.read_block_document_by_name("holdfast-key", EncryptionKey.get_block_type_slug())
        client.delete_block_document(block.id)
    yield
