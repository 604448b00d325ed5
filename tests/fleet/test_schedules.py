"""Live schedules are as the settings are; what a person did to them in Prefect stays where it is theirs to say."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.events.schemas.automations import AutomationCore

from holdfast.settings import Settings, load_settings
from orchestration.declared import REPLICATION_TRIGGER, trigger_name
from orchestration.deployments import deploy
from orchestration.job import in_force
from orchestration.schedules import OFF, reconcile_schedules
from tests.fleet.conftest import Fleet, settings_of

BACKUP = "database_backup/database-backup-plan"


@pytest.fixture(scope="module")
def settings(fleet: Fleet) -> Iterator[Settings]:
    """An installation of its own, deployed, every 1000 hours: rarely while this runs, and often enough for Prefect to plan it."""
    own = fleet.environment("wiki") | {"HOLDFAST_TARGET": "plan", "BACKUP_ENABLE_VERIFICATION": "false"}
    own |= {"BACKUP_DATABASE_INTERVAL": "", "BACKUP_REPLICAS": (fleet.folder / "replica").as_uri()}
    with settings_of(own) as loaded:
        settings = loaded.model_copy(update={"database_backup_interval": 1000})
        deploy(settings)
        yield settings


def test_a_schedule_that_a_person_paused_stays_paused_and_what_the_settings_have_off_comes_back_with_them(
    client: SyncPrefectClient, settings: Settings
) -> None:
    _set(client, active=False)
    deploy(settings)
    assert _reconciled(settings) == []
    assert _schedule(client).active is False
    _set(client, active=True)
    without = settings.model_copy(update={"enable_database_backup": False})
    assert _reconciled(without) == ["database-backup-plan: off"]
    assert OFF in _deployment(client).tags
    assert _reconciled(without) == []
    deploy(without)
    assert _schedule(client).active is False
    assert _reconciled(settings) == ["database-backup-plan: on"]
    assert OFF not in _deployment(client).tags
    assert _schedule(client).active is True


def test_an_interval_that_was_edited_in_prefect_goes_back_to_that_of_the_settings(
    client: SyncPrefectClient, settings: Settings
) -> None:
    _set(client, schedule=_schedule(client).schedule.model_copy(update={"interval": timedelta(hours=1)}))
    assert _reconciled(settings) == ["database-backup-plan: every 1000 hours"]
    assert _hours(client) == 1000


def test_runs_that_wait_for_their_time_follow_a_changed_interval(client: SyncPrefectClient, settings: Settings) -> None:
    before = _planned(client)  # every 1000 hours, and with 901 there is no hour of both in a hundred years
    assert _reconciled(settings.model_copy(update={"database_backup_interval": 901})) == ["database-backup-plan: every 901 hours"]
    assert before
    assert not set(before) & set(_expected(client)), "what the old interval had planned is gone at once"
    after = _planned(client)
    assert len(after) > 1
    assert {(b - a).total_seconds() / 3600 for a, b in pairwise(after)} <= {901}
    assert _reconciled(settings) == ["database-backup-plan: every 1000 hours"]


def test_a_schedule_that_a_person_added_outlives_deploying(client: SyncPrefectClient, settings: Settings) -> None:
    deployment = _deployment(client)
    added = IntervalSchedule(interval=timedelta(hours=5000))
    client.create_deployment_schedules(deployment.id, [(added, False)])
    deploy(settings)
    intervals = {one.schedule.interval: one.active for one in _deployment(client).schedules if hasattr(one.schedule, "interval")}
    assert intervals == {timedelta(hours=1000): True, timedelta(hours=5000): False}


def test_the_trigger_of_replications_follows_the_replicas_and_of_two_that_deploys_at_once_left_one_stays(
    client: SyncPrefectClient, settings: Settings
) -> None:
    assert _reconciled(settings.model_copy(update={"replicas": []})) == ["replication-plan: off"]
    assert _triggered(client) == [False]
    name = trigger_name(REPLICATION_TRIGGER, "plan")
    trigger = next(one for one in client.read_automations() if one.name == name)
    client.create_automation(AutomationCore(**trigger.model_dump(include=set(AutomationCore.model_fields))))
    deploy(settings)
    assert _triggered(client) == [True]


def test_a_changed_configuration_changes_the_live_schedule_and_deploying_again_does_not_reset_it(
    fleet: Fleet, client: SyncPrefectClient, settings: Settings
) -> None:
    del settings
    command = fleet.run("config", "update", "databaseBackupInterval=2000", "--json", **_own())
    assert "database-backup-plan: every 2000 hours" in fleet.document(command)["rescheduled"]
    assert _hours(client) == 2000
    (backup,) = [one for one in deploy(in_force(load_settings())) if one.name == BACKUP]
    assert (backup.interval_hours, backup.is_new, backup.active) == (2000, False, True)
    assert _hours(client) == 2000


def _reconciled(settings: Settings) -> list[str]:
    """What changed of the two deployments that are looked at here."""
    return [one for one in reconcile_schedules(settings) if one.startswith(("database-backup-", "replication-"))]


def _own() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(("BACKUP_", "HOLDFAST_"))}


def _deployment(client: SyncPrefectClient) -> DeploymentResponse:
    return client.read_deployment_by_name(BACKUP)


def _schedule(client: SyncPrefectClient) -> Any:
    return next(one for one in _deployment(client).schedules if one.slug == "database-backup")


def _hours(client: SyncPrefectClient) -> float:
    return float(_schedule(client).schedule.interval.total_seconds() / 3600)


def _triggered(client: SyncPrefectClient) -> list[bool]:
    return [one.enabled for one in client.read_automations() if one.name == trigger_name(REPLICATION_TRIGGER, "plan")]


def _set(client: SyncPrefectClient, **changes: Any) -> None:
    found = _schedule(client)
    now = {"active": found.active, "schedule": found.schedule, "parameters": found.parameters}
    client.update_deployment_schedule(_deployment(client).id, found.id, **(now | changes))


def _planned(client: SyncPrefectClient) -> list[Any]:
    """Have Prefect plan runs now, as it does by itself within a minute."""
    client._client.post(f"/deployments/{_deployment(client).id}/schedule", json={})
    return _expected(client)


def _expected(client: SyncPrefectClient) -> list[Any]:
    ours = DeploymentFilter(id=DeploymentFilterId(any_=[_deployment(client).id]))
    runs = client.read_flow_runs(deployment_filter=ours)
    return sorted(run.expected_start_time for run in runs if run.auto_scheduled)
