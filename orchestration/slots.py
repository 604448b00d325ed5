"""Slots of a deployment's concurrency limit that nobody holds any more: a run that ended while no server was there to see it.

Prefect gives such a slot back when its lease ends. Where the lease itself is lost (a server that keeps leases in memory was
restarted), it never does, and every later run would be cancelled, for ever.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    DeploymentFilterTags,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType

from blocks.server import asked
from orchestration.declared import TAG

_HOLDING = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
_log = logging.getLogger(__name__)


def free_stuck_slots() -> list[str]:
    """Set the slots in use of our deployments to the runs that are at work; return the names of those that were wrong.

    Looks twice before it changes anything, for a run may begin or end in between. Raises PrefectUnreachableError.
    """
    with asked("it has the concurrency limits"), get_client(sync_client=True) as client:
        first = dict(_stuck(client, None))
        second = dict(_stuck(client, list(first))) if first else {}
        return [_free(client, *found) for deployment_id, found in second.items() if first[deployment_id] == found]


def _stuck(client: SyncPrefectClient, only: list[UUID] | None) -> Iterator[tuple[UUID, tuple[str, str, int, int]]]:
    """Find deployments with more slots in use than runs at work: its name, its limit's name, slots, runs."""
    ours = DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG]), id=None if only is None else DeploymentFilterId(any_=only))
    for deployment in client.read_deployments(deployment_filter=ours):
        limit = deployment.global_concurrency_limit
        if limit is None or not limit.active_slots:
            continue
        at_work = _runs_at_work(client, deployment.id)
        if limit.active_slots > at_work:
            yield deployment.id, (deployment.name, limit.name, limit.active_slots, at_work)


def _runs_at_work(client: SyncPrefectClient, deployment_id: UUID) -> int:
    found = client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment_id])),
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_HOLDING))),
    )
    return len(found)


def _free(client: SyncPrefectClient, name: str, limit: str, slots: int, at_work: int) -> str:
    client.update_global_concurrency_limit(limit, GlobalConcurrencyLimitUpdate(active_slots=at_work))
    _log.warning(
        "The concurrency limit of %s counted %d runs at work, and there are %d: what nobody held was freed", name, slots, at_work
    )
    return name
