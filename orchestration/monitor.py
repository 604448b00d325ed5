"""What the health monitor does every few minutes: put right what dead work has left, have Prefect as the settings say, and look.

It leaves little behind: no row, no artifact of its own, and its runs of more than a day ago go. Each duty is done whatever
becomes of the others. The probes of what backups protect are one: they come after all that a plan needs to be started.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import TERMINAL_STATES
from prefect.exceptions import ObjectNotFound

from blocks.server import asked
from holdfast.errors import UnreachableError
from holdfast.repository import Repository
from holdfast.settings import Settings
from orchestration.automations import apply_automations
from orchestration.dead_runs import close_dead_runs, close_lost_runs
from orchestration.dead_work import REASON
from orchestration.declared import deployment_name
from orchestration.job import Job
from orchestration.masking import masked
from orchestration.opening import opened_repository
from orchestration.recovery.deployments import apply_plans
from orchestration.recovery.probes import probe
from orchestration.schedules import reconcile_schedules, registered
from orchestration.slots import free_stuck_slots

MONITOR = "health-monitor"
"""Its deployment in prefect.yaml."""

KEPT = timedelta(days=1)
"""How long its runs stay in Prefect: there are 288 a day."""

LONGEST_SECONDS = 280
"""How long a run may take at most."""

_LEAST_SECONDS, _ROOM_SECONDS = 60, 20
_AT_ONCE = 50
_FIRST_WAIT_SECONDS = 2.0
_log = logging.getLogger(__name__)


def time_limit_seconds(settings: Settings) -> float:
    """Tell how long a run may take: less than until the next one, but never so little that a slow moment would end each.

    A run that is due while the last one is still at work is left out.
    """
    until_next = settings.monitor_interval_minutes * 60
    return min(LONGEST_SECONDS, max(_LEAST_SECONDS, until_next - _ROOM_SECONDS))


def duties(settings: Settings, storage: str, key: str) -> Mapping[str, Callable[[], Any]]:
    """Name what is to be done, in order; each returns what it did."""
    return {
        "crashedRuns": lambda: close_dead_runs(REASON),
        "lostRuns": close_lost_runs,
        "freedSlots": free_stuck_slots,
        "schedules": lambda: reconcile_schedules(settings),
        "plans": lambda: apply_plans(settings),
        "automations": lambda: apply_automations(settings, begin=False),
        "troubles": lambda: probe(settings, storage, key, time_limit_seconds(settings) / 2),
        "deletedRuns": lambda: delete_old_runs(settings.target),
    }


def keep_in_order(settings: Settings, storage: str, key: str) -> dict[str, Any]:
    """Do every duty, and return what each did; `problems` says what could not be done, and why."""
    found: dict[str, Any] = {}
    problems: list[str] = []
    for name, do in duties(settings, storage, key).items():
        try:
            found[name] = do()
        except Exception as error:  # noqa: BLE001  the next run tries again, and what else is to be done can't wait for it
            problems.append(masked(f"{name}: {error}"))
            _log.warning("%s could not be seen to: %s", name, error)
        else:
            if found[name]:
                _log.info("%s: %s", name, found[name])
    return {**found, "problems": problems}


def opened_patiently(storage: str, key: str, patience_seconds: float) -> Callable[[Job], AbstractContextManager[Repository]]:
    """Open the repository, and try again for some time where it does not answer; wait as long for the catalog."""

    @contextmanager
    def opened(job: Job) -> Iterator[Repository]:
        end = time.monotonic() + min(patience_seconds, time_limit_seconds(job.settings) / 3)
        with ExitStack() as held:
            repository = _open_until(held, storage, key, end)
            _wait_for_catalog(job, end)
            yield repository

    return opened


def delete_old_runs(target: str | None) -> int:
    """Delete runs of the monitor that were due more than a day ago and have ended, some at a time; return how many."""
    with asked("it has the monitor's runs"), get_client(sync_client=True) as client:
        name = deployment_name(MONITOR, target)
        deployment = registered(client, [name]).get(name)
        if deployment is None:
            return 0
        old = FlowRunFilter(
            deployment_id=FlowRunFilterDeploymentId(any_=[deployment.id]),
            expected_start_time=FlowRunFilterExpectedStartTime(before_=datetime.now(UTC) - KEPT),
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(TERMINAL_STATES))),
        )
        return sum(_delete(client, run.id) for run in client.read_flow_runs(flow_run_filter=old, limit=_AT_ONCE))


def _delete(client: SyncPrefectClient, flow_run_id: UUID) -> bool:
    try:
        client.delete_flow_run(flow_run_id)
    except ObjectNotFound:  # another monitor was quicker
        return False
    return True


def _open_until(held: ExitStack, storage: str, key: str, end: float) -> Repository:
    wait_seconds = _FIRST_WAIT_SECONDS
    while True:
        try:
            return held.enter_context(opened_repository(storage, key))
        except UnreachableError as error:
            if time.monotonic() + wait_seconds > end:
                raise
            _log.info("the repository can't be opened, and is tried again in %g s: %s", wait_seconds, error)
        time.sleep(wait_seconds)
        wait_seconds *= 2


def _wait_for_catalog(job: Job, end: float) -> None:
    """Give a catalog that does not answer until then; the mirror itself asks it every half a minute only."""
    wait_seconds = _FIRST_WAIT_SECONDS
    while job.mirror.dashboard() is None and time.monotonic() + wait_seconds < end:
        time.sleep(wait_seconds)
        wait_seconds *= 2
