"""A slot of a concurrency limit that nobody holds is given back; otherwise every later run would be cancelled, for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from uuid import uuid4

import pytest
from prefect import flow_engine
from prefect._internal.concurrency.cancellation import CancelledError
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.concurrency._leases import maintain_concurrency_lease
from prefect.states import Crashed, Pending

import orchestration.tasks  # noqa: F401  as every flow does
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


def test_a_run_goes_on_whose_slot_prefect_has_lost_though_prefect_itself_would_end_it(client: SyncPrefectClient) -> None:
    del client
    assert _goes_on(flow_engine.maintain_concurrency_lease)  # type: ignore[attr-defined]
    assert not _goes_on(maintain_concurrency_lease)


def _goes_on(hold: Callable[..., AbstractContextManager[None]]) -> bool:
    """Work with a slot that the server knows nothing of, until Prefect has given up renewing it, and a little longer."""
    lease_id = uuid4()
    try:
        with hold(lease_id, 300, raise_on_lease_renewal_failure=True):
            (renewing,) = [thread for thread in threading.enumerate() if thread.name.endswith(str(lease_id))]
            renewing.join(60)
            assert not renewing.is_alive()
            end = time.monotonic() + 0.5
            while time.monotonic() < end:
                time.sleep(0.01)
            return True
    except CancelledError:
        return False
