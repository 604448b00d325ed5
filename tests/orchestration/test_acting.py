"""Who is behind a run: the audit log tells tokens, schedules, events and people at Prefect apart."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun

from holdfast.audit import Actor
from orchestration.acting import actor_of

AUTOMATION = {"id": str(uuid4()), "type": "AUTOMATION", "display_value": "recover-database-failure"}


@pytest.mark.parametrize(
    ("known", "actor"),
    [
        ({"tags": ["holdfast", "asked-by:ci o'neill"]}, Actor("token", "ci o'neill")),
        ({"created_by": AUTOMATION}, Actor("event", "recover-database-failure")),
        ({"auto_scheduled": True}, Actor("schedule", "prefect")),
        ({}, Actor("user", "at Prefect")),
    ],
    ids=["token", "event", "schedule", "somebody at Prefect"],
)
def test_who_started_a_run_of_a_deployment_is_told(known: dict[str, Any], actor: Actor) -> None:
    run = FlowRun.model_validate({"id": str(uuid4()), "flow_id": str(uuid4()), "deployment_id": str(uuid4()), **known})
    assert actor_of(run) == actor
