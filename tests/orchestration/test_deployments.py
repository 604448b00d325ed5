"""What prefect.yaml names is really there: `prefect deploy` would deploy a flow that can't be imported without a word."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from prefect import Flow
from prefect.flows import load_flow_from_entrypoint

from orchestration.deployments import REPLICATION_TRIGGER, ROOT, WORK_POOL

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
    hours = {one["name"]: [schedule["interval"] / 3600 for schedule in one["schedules"]] for one in DEPLOYMENTS}
    assert hours == {
        "database-backup": [24],
        "function-backup": [168],
        "config-backup": [24],
        "secrets-backup": [168],
        "backup-all": [],
        "database-verification": [24],
        "restore": [],
        "replication": [],
    }


def test_a_completed_backup_of_any_type_starts_a_replication() -> None:
    (replication,) = [one for one in DEPLOYMENTS if one["name"] == "replication"]
    (trigger,) = replication["triggers"]
    assert trigger["name"] == REPLICATION_TRIGGER
    assert (trigger["expect"], trigger["match"]) == (["holdfast.backup.completed"], {"prefect.resource.id": "holdfast.*"})
    assert [one["name"] for one in DEPLOYMENTS if one.get("triggers")] == ["replication"]


def test_workers_are_told_where_the_code_is() -> None:
    steps = [name for step in SAID["pull"] for name in step]
    assert steps == ["prefect.deployments.steps.set_working_directory"]
