"""What prefect.yaml names is really there: `prefect deploy` would deploy a flow that can't be imported without a word."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow
from prefect.flows import load_flow_from_entrypoint

from holdfast.backup_types import TYPES
from orchestration.declared import REPLICATION_TRIGGER, ROOT, TRIGGERS, Declared, declared, pull_steps
from orchestration.work_pool import WORK_POOL

SAID: dict[str, Any] = yaml.safe_load((ROOT / "prefect.yaml").read_text())
DEPLOYMENTS: list[dict[str, Any]] = SAID["deployments"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment["name"])
def test_every_entrypoint_loads_for_real_and_takes_the_parameters_it_is_given(
    deployment: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    flow: Flow[..., Any] = load_flow_from_entrypoint(deployment["entrypoint"], use_placeholder_flow=False)
    assert flow.name == deployment["entrypoint"].rpartition(":")[2]
    assert deployment["parameters"].keys() <= flow.parameters.properties.keys()
    assert deployment["work_pool"]["name"] == WORK_POOL


def test_the_guides_intervals_are_what_is_scheduled() -> None:
    hours = {
        one["name"]: [schedule["interval"] / 3600 for schedule in one["schedules"] if "interval" in schedule]
        for one in DEPLOYMENTS
        if not any("cron" in schedule for schedule in one["schedules"])
    }
    assert hours == {
        "database-backup": [24],
        "function-backup": [168],
        "config-backup": [24],
        "secrets-backup": [168],
        "backup-all": [],
        **{f"{kind}-verification": [24] for kind in TYPES},
        "repository-check": [24],
        "cleanup": [24],
        "health-monitor": [1 / 12],
        "restore": [],
        "disaster-recovery": [],
        "replication": [],
    }


def test_the_health_monitor_begins_together_with_nothing_else() -> None:
    every = {
        one["name"]: {datetime.fromisoformat(schedule["anchor_date"]).timestamp() % 300 for schedule in one["schedules"]}
        for one in DEPLOYMENTS
        if any("interval" in schedule for schedule in one["schedules"])
    }
    monitor = every.pop("health-monitor")
    assert monitor.isdisjoint(set().union(*every.values())), "Prefect's SQLite is locked up for a minute each time that they do"


def test_a_completed_backup_of_any_type_starts_a_replication() -> None:
    (replication,) = [one for one in DEPLOYMENTS if one["name"] == "replication"]
    (trigger,) = replication["triggers"]
    assert trigger["name"] == REPLICATION_TRIGGER
    assert trigger["expect"] == ["holdfast.backup.completed"]
    assert trigger["match"] == {"prefect.resource.id": [f"holdfast.{kind}" for kind in TYPES]}


@pytest.mark.parametrize("kind", TYPES)
def test_a_backup_that_is_found_bad_starts_a_fresh_one_of_its_type(kind: str) -> None:
    (backup,) = [one for one in DEPLOYMENTS if one["name"] == f"{kind}-backup"]
    (trigger,) = backup["triggers"]
    assert trigger["name"] == TRIGGERS[f"{kind}-backup"]
    assert (trigger["expect"], trigger["posture"]) == (["holdfast.backup.bad"], "Reactive")
    assert trigger["match"] == {"prefect.resource.id": [f"holdfast.{kind}"]}


def test_every_trigger_is_known_by_its_name_so_that_a_restore_gives_it_back_to_its_deployment() -> None:
    said = {one["name"]: [trigger["name"] for trigger in one["triggers"]] for one in DEPLOYMENTS if one.get("triggers")}
    assert said == {base: [name] for base, name in TRIGGERS.items()}


def test_the_restore_drill_is_monthly() -> None:
    (drill,) = [one for one in DEPLOYMENTS if one["name"] == "recovery-drill"]
    assert drill["schedules"] == [{"slug": "recovery-drill", "cron": "0 5 1 * *", "timezone": "UTC"}]
    (drill,) = [one for one in DEPLOYMENTS if one["name"] == "plan-drill"]
    assert drill["schedules"] == [{"slug": "plan-drill", "cron": "30 5 15 * *", "timezone": "UTC"}]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment["name"])
def test_what_a_schedule_starts_is_skipped_while_the_last_one_is_at_work_and_what_an_event_starts_waits(
    deployment: dict[str, Any],
) -> None:
    limit = deployment.get("concurrency_limit")
    if deployment.get("triggers") and not deployment["schedules"]:
        assert limit == {"limit": 1, "collision_strategy": "ENQUEUE"}
    elif limit is not None:
        assert limit == {"limit": 1, "collision_strategy": "CANCEL_NEW"}
    else:
        assert deployment["name"] in {"backup-all", "restore", "disaster-recovery", "health-monitor"}


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment["name"])
def test_every_deployment_says_what_it_is_for_and_can_be_found_by_tag(deployment: dict[str, Any]) -> None:
    assert deployment["description"].endswith(".")
    assert deployment["tags"][0] == "holdfast"
    assert len(deployment["tags"]) > 1


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment["name"])
def test_blocks_are_named_where_the_ui_shows_them(deployment: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    flow: Flow[..., Any] = load_flow_from_entrypoint(deployment["entrypoint"], use_placeholder_flow=False)
    by_default = {name: one.get("default") for name, one in flow.parameters.properties.items()}
    blocks = {name: value for name, value in by_default.items() if str(value).startswith("holdfast-")}
    assert blocks.items() <= deployment["parameters"].items()


def test_a_target_has_deployments_blocks_and_events_of_its_own() -> None:
    ours = {one.base: one for one in declared("shop")}
    backup, replication = ours["database-backup"], ours["replication"]
    assert backup.name == "database-backup-shop"
    assert backup.parameters == {"storage": "shop-storage", "key": "shop-key", "database": "shop-database"}
    assert backup.tags == ["holdfast", "backup", "database", "target:shop"]
    assert "shop-database" in backup.description
    (trigger,) = replication.triggers
    assert trigger["name"] == f"{REPLICATION_TRIGGER} of shop"
    assert trigger["match"] == {"prefect.resource.id": [f"holdfast.shop.{kind}" for kind in TYPES]}
    everything = json.dumps([{**vars_of(one), "schedules": [], "triggers": []} for one in ours.values()])
    assert "holdfast-" not in everything


def test_without_a_target_everything_is_called_as_prefect_yaml_says() -> None:
    said = {one["name"]: one["parameters"] for one in DEPLOYMENTS}
    assert {one.name: one.parameters for one in declared(None)} == said


def test_workers_are_told_where_the_code_is() -> None:
    steps = [name for step in SAID["pull"] for name in step]
    assert steps == ["prefect.deployments.steps.set_working_directory"]
    assert pull_steps(Path("/opt/holdfast")) == [{steps[0]: {"directory": "/opt/holdfast"}}]


def vars_of(one: Declared) -> dict[str, Any]:
    return {field.name: getattr(one, field.name) for field in dataclasses.fields(one)}
