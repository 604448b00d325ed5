"""Runs whose process was killed don't stay `Running` in Prefect, whether or not they have a row in the catalog."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun

from orchestration.dead_runs import close_dead_runs, crash_run
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
