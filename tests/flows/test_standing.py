"""What the Prefect server says, in how things stand and in the self-test: whether it answers, and whether a worker takes runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from prefect.client.orchestration import get_client

from holdfast.errors import NotFoundError, PrefectUnreachableError
from orchestration.standing.gathering import gathered
from orchestration.standing.prefect import OUR_POOL
from orchestration.trying import prefect
from orchestration.work_pool import WORK_POOL, work_pool
from tests.flows.conftest import Installation, forget_workers

UNKNOWN_TARGET = {"target": "nobody"}


def workers(installation: Installation) -> httpx.Client:
    return httpx.Client(base_url=f"{installation.prefect_url}/work_pools/{WORK_POOL}/workers", trust_env=False)


def no_workers(installation: Installation) -> None:
    """Have the pool, and the server know no worker of it."""
    with get_client(sync_client=True) as client:
        work_pool(client, WORK_POOL)
    forget_workers(installation.prefect_url)


@contextmanager
def a_worker(installation: Installation) -> Iterator[None]:
    """Have a worker say that it is there, as each does twice a minute."""
    name = "worker-of-the-tests-of-standing"
    with workers(installation) as client:
        client.post("/heartbeat", json={"name": name, "heartbeat_interval_seconds": 30}).raise_for_status()
        try:
            yield
        finally:
            client.delete(f"/{name}").raise_for_status()


def test_a_worker_that_is_online_is_told_and_one_that_is_not_is_a_part_that_is_down(installation: Installation) -> None:
    settings = installation.settings.model_copy(update=UNKNOWN_TARGET)
    no_workers(installation)
    idle = gathered(installation.settings).document
    assert (idle["parts"]["prefect"], idle["prefect"]["running"]) == ({"ok": True}, True)
    assert idle["parts"]["worker"]["ok"] is idle["prefect"]["workerOnline"] is False
    with pytest.raises(PrefectUnreachableError, match="no worker"):
        prefect.worker(settings)
    with a_worker(installation):
        busy = gathered(installation.settings).document
        assert busy["parts"]["worker"] == {"ok": True}
        assert {"name": WORK_POOL, "workersOnline": 1} in busy["prefect"]["workPools"]
        assert prefect.worker(settings) == {"workPools": {WORK_POOL: 1}}
    assert OUR_POOL == WORK_POOL


def test_deployments_that_are_missing_are_named_before_nothing_runs(installation: Installation) -> None:
    assert prefect.server(installation.settings)["url"] == installation.prefect_url
    with pytest.raises(NotFoundError, match="database-backup-nobody") as told:
        prefect.deployments(installation.settings.model_copy(update=UNKNOWN_TARGET))
    assert "holdfast deploy" in (told.value.next_step or "")


def test_an_address_where_something_else_answers_is_told(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", f"{installation.prefect_url}/no/such/place")
    with pytest.raises(PrefectUnreachableError, match="answers 404"):
        prefect.server(installation.settings)
