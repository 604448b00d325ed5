"""The monitor notices by itself that something is wrong, starts what is to be started once, and takes no blip for it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.states import Completed, Running

from holdfast.recovery.triggers import DATABASE_UNAVAILABLE
from holdfast.recovery.trouble import Trouble
from holdfast.settings import load_settings
from orchestration.monitor import duties, time_limit_seconds
from orchestration.recovery.deployments import declared_plan
from orchestration.recovery.probes import LONGEST_LOOK_SECONDS, Pace, look_at, probe
from orchestration.recovery.triggers import FLOW
from orchestration.recovery.trouble_book import TroubleBook, trouble_judgement
from orchestration.recovery.world import LiveWorld
from orchestration.registering import automation_of
from tests.flows.conftest import Installation
from tests.recovery.sample_plans import plan

NOBODY = "postgresql://nobody@127.0.0.1:9/none"
SECONDS = 30.0


@pytest.fixture(autouse=True)
def _quick(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Looks that follow each other at once, and no trouble that another test has left."""
    monkeypatch.setenv("BACKUP_PROBE_WAIT", "0.05")
    yield
    book = TroubleBook(None)
    book.write(book.read(), {})


@pytest.fixture(scope="module")
def client(installation: Installation) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as found:
        yield found


def probed(**settings: Any) -> dict[str, Any]:
    loaded = load_settings().model_copy(update=settings)
    return probe(loaded, "holdfast-storage", "holdfast-key", SECONDS)


def emitted(client: SyncPrefectClient) -> list[dict[str, Any]]:
    """What was emitted for plans so far, the newest first."""
    query = {"filter": {"any_resource": {"id": ["holdfast.recovery"]}, "event": {"name": [DATABASE_UNAVAILABLE]}}, "limit": 50}
    return list(client._client.post("/events/filter", json=query).json()["events"])


def newly(client: SyncPrefectClient, before: int, expected: int) -> list[dict[str, Any]]:
    """Wait until so many more were emitted than there were; return those."""
    end = time.monotonic() + 10
    while len(found := emitted(client)) < before + expected:
        assert time.monotonic() < end, f"{len(found) - before} of {expected} events"
        time.sleep(0.1)
    return found[: len(found) - before]


def test_what_is_gone_is_told_once_and_again_only_after_it_was_well(
    client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(emitted(client))
    assert probed() == {}
    with monkeypatch.context() as gone:
        gone.setenv("BACKUP_DATABASE_URL", NOBODY)
        found = probed()["database"]
        assert (found["event"], found["state"]) == (DATABASE_UNAVAILABLE, "unreachable")
        assert probed() == {"database": found}, "what lasts is no news"
        assert trouble_judgement(load_settings())["trouble-database"] is not None
    (event,) = newly(client, before, 1)
    said = event["payload"]
    assert {name: said[name] for name in ("subject", "state", "affected")} == {
        "subject": "database",
        "state": "unreachable",
        "affected": [],
    }
    assert said["reason"]
    assert probed() == {}
    assert trouble_judgement(load_settings())["trouble-database"] is None
    monkeypatch.setenv("BACKUP_DATABASE_URL", NOBODY)
    assert probed()["database"]["emittedAt"] > found["emittedAt"]
    assert len(newly(client, before, 2)) == 2


def test_a_blip_starts_nothing(installation: Installation, client: SyncPrefectClient) -> None:
    before = len(emitted(client))
    settings = load_settings().model_copy(update={"probe_failures": 2, "probe_wait_seconds": 2})
    world = LiveWorld(settings, installation.repository)
    _rename(installation, "pipeline", "away")
    back = threading.Timer(0.8, _rename, (installation, "away", "pipeline"))
    back.start()
    try:
        looks = look_at(["database"], world, Pace.of(settings, SECONDS))["database"]
    finally:
        back.join()
    assert [one.state for one in looks] == ["lost", "healthy"]
    assert probed() == {}
    assert len(emitted(client)) == before


def test_a_repository_that_can_not_be_opened_and_a_server_that_says_nothing_hold_up_no_other_look(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = installation.home / "repository"
    with monkeypatch.context() as gone:
        gone.setenv("BACKUP_DATABASE_URL", NOBODY)
        moved = folder.rename(folder.with_name("away"))
        try:
            assert probed(enable_recovery=False)["database"]["state"] == "unreachable"
        finally:
            moved.rename(folder)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        settings = load_settings().model_copy(update={"database_url": f"postgresql://u@127.0.0.1:{silent.getsockname()[1]}/x"})
        begun = time.monotonic()
        found = look_at(["database", "config"], LiveWorld(settings, installation.repository), Pace(1, 0.0, 1.0))
        assert time.monotonic() - begun < 2.5
    assert [one.state for one in found["config"]] != []


def test_with_recovery_off_nothing_is_emitted_and_people_are_told(
    client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(emitted(client))
    monkeypatch.setenv("BACKUP_DATABASE_URL", NOBODY)
    assert probed(enable_recovery=False)["database"]["emittedAt"] is None
    alarm = trouble_judgement(load_settings())["trouble-database"]
    assert alarm is not None
    assert (alarm.title, "was not emitted" in alarm.what) == ("The database is unreachable", True)
    assert len(emitted(client)) == before


def test_while_a_plan_that_listens_is_at_work_nothing_more_is_emitted(
    client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(emitted(client))
    monkeypatch.setenv("BACKUP_DATABASE_URL", NOBODY)
    with _listening(client) as (deployment_id, _):
        run = client.create_flow_run_from_deployment(deployment_id)
        client.set_flow_run_state(run.id, Running(), force=True)
        assert probed()["database"]["emittedAt"] is None
        client.set_flow_run_state(run.id, Completed(), force=True)
        found = TroubleBook(None).read()["database"]
        assert probed()["database"]["plans"] == ["orders_lost"]
    assert isinstance(found, Trouble)
    assert len(newly(client, before, 1)) == 1


def test_however_often_it_is_to_look_its_looks_fit_into_a_run_and_the_run_into_its_time() -> None:
    settings = load_settings()
    for failures, wait in ((1, 1), (3, 5), (10, 60), (1000, 3600)):
        pace = Pace.of(settings.model_copy(update={"probe_failures": failures, "probe_wait_seconds": wait}), 140)
        assert pace.looks == failures
        assert pace.seconds <= 140
        assert 0 < pace.look_seconds <= LONGEST_LOOK_SECONDS
    limits = [time_limit_seconds(settings.model_copy(update={"monitor_interval_minutes": one})) for one in (0.25, 2, 5, 60)]
    assert limits == [60, 100, 280, 280]
    names = list(duties(settings, "holdfast-storage", "holdfast-key"))
    assert names.index("plans") < names.index("troubles"), "an event that nobody listens to yet starts nothing"


def _rename(installation: Installation, name: str, to: str) -> None:
    others = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    installation.sql(others, database="postgres")
    installation.sql(f'ALTER DATABASE "{name}" RENAME TO "{to}"', database="postgres")


@contextmanager
def _listening(client: SyncPrefectClient) -> Iterator[Any]:
    """Have a plan of a test listen to a database that is gone."""
    one = declared_plan(plan(triggers=[DATABASE_UNAVAILABLE]), "recover-orders-lost", None)
    deployment_id = client.create_deployment(
        flow_id=client.create_flow_from_name(FLOW), name=one.name, tags=one.tags, parameters=one.parameters
    )
    automation = automation_of(one, one.triggers[0], deployment_id)
    automation_id = client.create_automation(automation)
    try:
        yield deployment_id, automation_id
    finally:
        client.delete_automation(automation_id)
        client.delete_deployment(deployment_id)
