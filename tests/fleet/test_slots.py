"""A slot of a concurrency limit that nobody holds is given back; otherwise every later run would be cancelled, for ever."""

from __future__ import annotations

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.states import Crashed, Pending

from orchestration.deployments import deploy
from orchestration.slots import free_stuck_slots
from tests.fleet.conftest import Fleet, begun, settings_of

NAME = "verification/database-verification-slots"


def test_a_slot_of_nobody_is_freed_and_that_of_a_run_at_work_is_not(
    fleet: Fleet, client: SyncPrefectClient, caplog: pytest.LogCaptureFixture
) -> None:
    with settings_of(fleet.environment("wiki") | {"HOLDFAST_TARGET": "slots"}) as settings:
        deploy(settings)
    limit = client.read_deployment_by_name(NAME).global_concurrency_limit
    assert limit is not None
    client.increment_concurrency_slots(names=[limit.name], slots=1, mode="concurrency")  # and whoever took it is gone
    refused = begun(client, NAME)
    client.set_flow_run_state(refused.id, Pending())
    assert client.read_flow_run(refused.id).state_type == StateType.CANCELLED
    assert free_stuck_slots() == ["database-verification-slots"]
    assert "database-verification-slots counted 1 runs at work, and there are 0" in caplog.text
    taken = begun(client, NAME)
    client.set_flow_run_state(taken.id, Pending())
    assert client.read_flow_run(taken.id).state_type == StateType.PENDING
    assert free_stuck_slots() == []
    client.set_flow_run_state(taken.id, Crashed(), force=True)
