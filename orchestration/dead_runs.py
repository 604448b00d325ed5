"""Flow runs that Prefect still takes for running, though their process is gone: told by the process, never by their age.

Each run says in its labels which process it is, for Prefect knows at most a number, and not of which host. So a run of any kind
can be judged on its host, whether or not it has a row in the catalog. A run that never began has no process that it could name:
it is judged by the worker that took it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas import OrchestrationResult
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType, FlowRunFilterTags
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.states import Crashed

from holdfast.process_identity import is_known_dead, this_process
from orchestration.declared import TAG
from orchestration.work_pool import worker_is_gone

_LABEL = "holdfast."
_OPEN = [StateType.RUNNING, StateType.CANCELLING]
_WORKER, _POOL = "prefect.worker.name", "prefect.work-pool.name"
_PAGE = 200

NEVER_BEGAN = "the worker that took it is gone, and it never began"
BEGINS_WITHIN = timedelta(minutes=10)
"""How long a container that a worker started before it went may take until the run in it begins."""

_log = logging.getLogger(__name__)


def sign_run() -> None:
    """Say in the labels of the run in this context which process it is; that nobody could be told harms nothing."""
    if flow_run.id is None:
        return
    labels = {_LABEL + name: value for name, value in this_process().items()}
    try:
        with get_client(sync_client=True) as client:
            client.update_flow_run_labels(UUID(flow_run.id), labels)
    except Exception as error:  # noqa: BLE001  whatever Prefect's client raises
        _log.warning("Prefect could not be told which process this run is: %s", error)


def close_dead_runs(reason: str) -> list[str]:
    """Set the runs of this host to Crashed whose process is gone, and return their names.

    Raises what Prefect's client raises.
    """
    with get_client(sync_client=True) as client:
        dead = [run for run in _open_runs(client, _OPEN) if is_known_dead(_process(run))]
        return [f"{run.name} ({run.id})" for run in dead if _crash(client, run.id, reason)]


def close_lost_runs() -> list[str]:
    """Set our runs to Crashed that a worker took which is gone, on whatever host, and which never began; return their names.

    Prefect itself leaves them `Submitting` for ever. Raises what Prefect's client raises.
    """
    with get_client(sync_client=True) as client:
        lost = [run for run in _open_runs(client, [StateType.PENDING], [TAG]) if _is_lost(client, run)]
        return [f"{run.name} ({run.id})" for run in lost if _crash(client, run.id, NEVER_BEGAN)]


def crash_run(flow_run_id: object, reason: str) -> None:
    """Set one run to Crashed where Prefect knows it and it has not ended."""
    if not isinstance(flow_run_id, str):
        return
    try:
        with get_client(sync_client=True) as client:
            state = client.read_flow_run(UUID(flow_run_id)).state
            if state is not None and not state.is_final():
                _crash(client, UUID(flow_run_id), reason)
    except ObjectNotFound:
        _log.info("flow run %s is not on this Prefect server, so it can't be ended here", flow_run_id)
    except Exception as error:  # noqa: BLE001  whatever Prefect's client raises; the row is closed all the same
        _log.warning("flow run %s could not be set to Crashed: %s", flow_run_id, error)


def _is_lost(client: SyncPrefectClient, run: FlowRun) -> bool:
    """Tell whether nobody will begin this run: its worker is gone, and what that had started has had its time."""
    worker, pool = run.labels.get(_WORKER), run.labels.get(_POOL)
    if run.state is None or not worker or not pool or datetime.now(UTC) - run.state.timestamp < BEGINS_WITHIN:
        return False
    return worker_is_gone(client, str(pool), str(worker))


def _open_runs(client: SyncPrefectClient, types: list[StateType], tags: list[str] | None = None) -> Iterator[FlowRun]:
    open_ones = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=types)),
        tags=None if tags is None else FlowRunFilterTags(all_=tags),
    )
    page, offset = client.read_flow_runs(flow_run_filter=open_ones, limit=_PAGE), 0
    while page:
        yield from page
        offset += len(page)
        page = client.read_flow_runs(flow_run_filter=open_ones, limit=_PAGE, offset=offset) if len(page) == _PAGE else []


def _process(run: FlowRun) -> dict[str, Any]:
    return {name.removeprefix(_LABEL): value for name, value in run.labels.items() if name.startswith(_LABEL)}


def _crash(client: SyncPrefectClient, flow_run_id: UUID, reason: str) -> bool:
    result: OrchestrationResult[Any] = client.set_flow_run_state(flow_run_id, Crashed(message=reason))
    told = result.status.value == "ACCEPT"
    if not told:
        _log.warning("Prefect did not let flow run %s be set to Crashed: %s", flow_run_id, result.details)
    return told
