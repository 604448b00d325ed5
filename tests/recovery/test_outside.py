"""A plan that comes by the HTTP API runs no command, touches no file and reaches no address that a block does not define."""

from __future__ import annotations

import types
import typing
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest

from holdfast.errors import PlanNotAllowedError
from holdfast.recovery import outside
from holdfast.recovery.defaults import default_plans
from holdfast.recovery.plan import read_plan
from holdfast.recovery.steps import step_types
from tests.recovery.sample_plans import document, plan, step
from tests.recovery.scripting import scripted_types

HOSTILE = (
    "postgresql://app@10.0.0.7/shop",
    "http://169.254.169.254/latest/meta-data",
    "s3+http://127.0.0.1:9000/stolen",
    "file:///etc",
    "/etc/cron.d",
    "../../home",
    "~root/.ssh",
    "host=10.0.0.7 dbname=shop",
    "10.0.0.7:5432",
    "$(touch /tmp/here)",
    "; reboot",
    "{facts.where}",
    "file:settings/app.yaml#start.command",
    "environment:LD_PRELOAD",
    "storageEndpoint",
    "backupStorageConfig.bucket",
    "functionsUrl",
    "configFiles",
    "postgresTools",
    "name\nsecond",
)
SAFE = {bool, int, float}


def refused(*steps: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(PlanNotAllowedError) as caught:
        outside.require_allowed(plan(steps=list(steps)))
    assert "holdfast plans add" in (caught.value.next_step or "")
    assert caught.value.fields is not None
    return caught.value.fields


def update(step_id: str, key: str, value: Any) -> dict[str, Any]:
    return step(step_id, type="config_update", timeout=5, parameters={"configKey": key, "configValue": value})


def test_every_type_of_step_says_of_each_of_its_parameters_what_it_may_be() -> None:
    for name, kind in step_types().items():
        assert kind.outside is not None, f"{name} says nothing, so that no plan from outside may use it"
        assert set(kind.outside) == set(kind.parameters.model_fields), name


def test_every_parameter_that_takes_a_text_refuses_addresses_paths_commands_and_templates() -> None:
    """All but texts for people; what is only chosen from must have nothing but choices."""
    swept = 0
    for name, kind in step_types().items():
        for field, rule in (kind.outside or {}).items():
            annotation = kind.parameters.model_fields[field].annotation
            if rule is outside.words or (name, field) == ("config_update", "config_value"):
                continue
            if rule is outside.chosen:
                assert only_choices(annotation), f"{name}.{field} takes more than choices"
                continue
            for text in (one for one in HOSTILE if not only_choices(annotation)):
                value: Any = {tuple: (text,), dict: {text: text}}.get(get_origin(annotation), text)
                parameters = types.SimpleNamespace(backup_type="database", migration_type="database", config_value="x")
                if field != "backup_id" or not text.isalnum():  # a word may be a backup's id
                    assert rule(value, parameters), f"{name}.{field} lets {text!r} through"
                    swept += 1
    assert swept > 100


def only_choices(annotation: Any) -> bool:
    if get_origin(annotation) in (typing.Union, types.UnionType):
        return all(one is type(None) or only_choices(one) for one in get_args(annotation))
    return annotation in SAFE or get_origin(annotation) is Literal


def test_a_type_that_says_nothing_is_refused() -> None:
    with scripted_types(Path(__file__).parent / "open_types"):
        anything = read_plan(document(steps=[step(type="anything", parameters={"run": "reboot"})]))
        with pytest.raises(
            PlanNotAllowedError, match="nothing says that a plan from outside may have a step of the type anything"
        ):
            outside.require_allowed(anything)


@pytest.mark.parametrize("plan_id", list(default_plans()))
def test_the_default_plans_may_come_from_outside(plan_id: str) -> None:
    outside.require_allowed(default_plans()[plan_id])


def test_names_of_blocks_services_channels_and_secrets_may_come() -> None:
    restore = {"backupType": "database", "backupId": "backup_1234567890", "mode": "promote", "target": "reporting-database"}
    steps = [
        step("restore", type="backup_restore", timeout=20, parameters=restore),
        step("restart", type="service_restart", timeout=5, parameters={"services": ["web", "*"]}),
        update("often", "databaseBackupInterval", 6),
        step("rotate", type="secrets", timeout=5, parameters={"names": ["env-file/API_KEY"]}),
        step("tell", parameters={"message": "See https://wiki.example.com/{plan}", "channels": ["email", "shop-oncall"]}),
        step(
            "move",
            type="data_migration",
            timeout=30,
            parameters={"source": "holdfast-database", "destination": "reporting", "migrationType": "database"},
        ),
    ]
    outside.require_allowed(plan(steps=steps))


def test_all_that_is_refused_is_named_by_step_and_parameter() -> None:
    folders = {"source": "/a", "destination": "/b", "migrationType": "directory"}
    told = refused(
        step("restore", type="backup_restore", timeout=20, parameters={"backupType": "config", "target": "/etc"}),
        step("folder", type="data_migration", timeout=30, parameters=folders),
        update("command", "file:app.yaml#start", "sh"),
        update("preload", "environment:LD_PRELOAD", "x.so"),
        update("steal", "storageEndpoint", "http://here"),
        update("open", "enableEncryption", False),
        step("into", type="secrets", timeout=5, parameters={"into": {"postgres-roles/app": "PATH"}}),
    )
    assert set(told) == {
        "steps.restore.parameters.target",
        "steps.folder.parameters.source",
        "steps.folder.parameters.destination",
        "steps.folder.parameters.migrationType",
        "steps.command.parameters.configKey",
        "steps.preload.parameters.configKey",
        "steps.steal.parameters.configKey",
        "steps.open.parameters.configKey",
        "steps.into.parameters.into",
    }


def test_parameters_in_snake_case_are_no_way_around_it() -> None:
    told = refused(step("restore", type="backup_restore", timeout=20, parameters={"backup_type": "secrets", "target": "/etc"}))
    assert list(told) == ["steps.restore.parameters.target"]
