"""Runs whose process was killed don't stay `Running` in Prefect, whether or not they have a row in the catalog."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.states import Pending

from orchestration.dead_runs import close_dead_runs, close_lost_runs, crash_run
from orchestration.declared import TAG
from orchestration.work_pool import WORK_POOL, work_pool
from tests.flows.conftest import Installation

SIGNED = """
import time
from prefect import flow
from prefect.runtime import flow_run
from orchestration.dead_runs import sign_run

@flow
def waits():
    sign_run()
    print(flow_run.id, flush=True)
    time.sleep(600)

waits()
"""


@contextmanager
def _run() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A flow run in a process of its own, and its id."""
    with subprocess.Popen(
        [sys.executable, "-c", SIGNED], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


def _seen(flow_run_id: str) -> FlowRun:
    with get_client(sync_client=True) as client:
        return client.read_flow_run(UUID(flow_run_id))


def test_a_run_without_a_row_is_ended_once_its_process_was_killed_and_never_before(installation: Installation) -> None:
    with _run() as (flow_run_id, process):
        assert not [name for name in close_dead_runs("it died") if flow_run_id in name]
        assert _seen(flow_run_id).state_name == "Running", "a living run was taken for dead"
        process.kill()
        process.wait()
        assert [name for name in close_dead_runs("it died") if flow_run_id in name]
    ended = _seen(flow_run_id)
    assert ended.state is not None
    assert (ended.state_name, ended.state.message) == ("Crashed", "it died")
    assert not [name for name in close_dead_runs("it died again") if flow_run_id in name]
    crash_run(flow_run_id, "it died again")
    assert _seen(flow_run_id).state == ended.state


def test_a_run_that_its_worker_took_into_its_grave_is_ended(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    del installation
    with _taken_by("one-that-is-gone") as lost, _taken_by("one-that-lives") as taken:
        assert not close_lost_runs(), "a run that was taken just now was given up"
        monkeypatch.setattr("orchestration.dead_runs.BEGINS_WITHIN", timedelta(0))
        assert [name for name in close_lost_runs() if str(lost) in name]
        assert [_seen(str(one)).state_name for one in (lost, taken)] == ["Crashed", "Submitting"]
        assert close_lost_runs() == []


@contextmanager
def _taken_by(worker: str) -> Iterator[UUID]:
    """A run that a worker has taken; the one that lives has just reported to the server."""
    with get_client(sync_client=True) as client:
        work_pool(client, WORK_POOL)
        if worker == "one-that-lives":
            client.send_worker_heartbeat(WORK_POOL, worker, heartbeat_interval_seconds=30)
        run = client.create_flow_run(taken, state=Pending(name="Submitting"), tags=[TAG])
        client.update_flow_run_labels(run.id, {"prefect.worker.name": worker, "prefect.work-pool.name": WORK_POOL})
        try:
            yield run.id
        finally:
            client.delete_flow_run(run.id)


@flow
def taken() -> None:
    """A flow whose runs nobody begins."""


def test_runs_that_are_signed_at_the_same_moment_are_signed_without_a_wait(installation: Installation) -> None:
    with httpx.Client(base_url=installation.prefect_url, timeout=60) as client, ThreadPoolExecutor(2) as both:
        flow_id = client.post("/flows/", json={"name": "signed-together"}).json()["id"]
        made = [client.post("/flow_runs/", json={"flow_id": flow_id, "state": {"type": "PENDING"}}).json()["id"] for _ in "ab"]

        def sign(run: str) -> set[int]:
            return {client.patch(f"/flow_runs/{run}/labels", json={"holdfast.pid": number}).status_code for number in range(15)}

        assert set.union(*both.map(sign, made)) == {204}, "Prefect's client would wait two seconds before it tries again"
