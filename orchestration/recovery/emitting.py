"""An event that a person, or a program of theirs, emits: which plans hear it, which runs it starts, and what comes of them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.sorting import FlowRunSort

from blocks.server import asked
from holdfast.errors import SettingsError
from holdfast.recovery.plan import TEST_TRIGGER
from holdfast.recovery.plan_book import PlanBook
from holdfast.recovery.triggers import TRIGGERS
from orchestration.masking import hide_all_of
from orchestration.recovery.asking import checked_facts
from orchestration.recovery.record import execution_of_flow_run
from orchestration.recovery.triggers import Listener, listeners, send_trigger
from orchestration.work_pool import a_worker_is_online

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

    from holdfast.recovery.execution import Execution
    from holdfast.settings import Settings

Json = dict[str, Any]

_STARTING_SECONDS = 15.0
_LOOK_SECONDS = 0.3
_PAUSED = StateType.PAUSED


@dataclass(frozen=True, slots=True)
class Started:
    """A run of a plan that an event has started. `state` is Prefect's word for how it is."""

    plan_id: str
    run_id: UUID
    name: str
    state: str
    has_ended: bool
    waits: bool
    """Whether it was set down, to wait for a person's approval."""
    execution: Execution | None = None

    def document(self) -> Json:
        """Describe it as commands and the API do."""
        return {
            "planId": self.plan_id,
            "flowRunId": str(self.run_id),
            "name": self.name,
            "state": self.state,
            "waitsForApproval": self.waits,
            "execution": None if self.execution is None else self.execution.document(),
        }


@dataclass(frozen=True, slots=True)
class Emitted:
    """An event that was sent. `paused` are plans that would listen, had not somebody paused them."""

    event: str
    event_id: str
    plans: tuple[str, ...]
    paused: tuple[str, ...]
    runs: tuple[Started, ...]
    worker_online: bool

    def document(self) -> Json:
        """Describe it as commands and the API do."""
        return {
            "event": self.event,
            "eventId": self.event_id,
            "plans": list(self.plans),
            "paused": list(self.paused),
            "workerOnline": self.worker_online,
            "runs": [one.document() for one in self.runs],
        }


def emit_event(event: str, payload: Mapping[str, Any], settings: Settings) -> Emitted:
    """Emit an event, and wait until the plans that hear it have their runs.

    Raises SettingsError (no event of that name, a payload that is too large), PrefectUnreachableError.
    """
    hide_all_of(settings)
    with asked("it is to have the event"), get_client(sync_client=True) as client:
        found = listeners(client, settings.target)
        _require_known(event, found, settings)
        event_id = send_trigger(client, settings.target, event, checked_facts(payload))
        hearing = [one for one in found if event in one.events]
        awake = {one.deployment_id: one.plan_id for one in hearing if one.on}
        runs = _wait_for_runs(client, awake, event_id)
        paused = tuple(one.plan_id for one in hearing if not one.on)
        return Emitted(event, event_id, tuple(awake.values()), paused, runs, _worker_is_online(client, awake))


def followed(emitted: Emitted) -> Emitted:
    """Wait until each run has ended, or waits for a person, and tell what came of each. Raises PrefectUnreachableError."""
    runs = {one.run_id: one for one in emitted.runs}
    with asked("it has the runs of the plans"), get_client(sync_client=True) as client:
        while any(not (one.has_ended or one.waits) for one in runs.values()):
            time.sleep(_LOOK_SECONDS)
            runs = {run_id: _started(one.plan_id, client.read_flow_run(run_id)) for run_id, one in runs.items()}
    return replace(emitted, runs=tuple(replace(one, execution=execution_of_flow_run(str(one.run_id))) for one in runs.values()))


def _require_known(event: str, found: list[Listener], settings: Settings) -> None:
    """Raise SettingsError for a name that no plan of the target knows, switched on or not, and that is none of the guide's."""
    if event == TEST_TRIGGER:
        raise SettingsError(
            f"{TEST_TRIGGER} is no event: it has a plan that is started by hand carried out as a drill",
            next_step="Run: holdfast recover PLAN --mode drill",
        )
    heard = {name for one in found for name in one.events}
    if event in heard or event in TRIGGERS:
        return
    known = heard | set(TRIGGERS) | {name for plan in PlanBook(settings).all().plans for name in plan.triggers}
    if event not in known:
        near = get_close_matches(event, known, n=1)
        raise SettingsError(
            f"There is no event {event!r}",
            reason=f"the nearest is {near[0]}" if near else f"the events are {', '.join(sorted(known))}",
            next_step="A plan of your own may have triggers of its own: holdfast plans add FILE",
        )


def _wait_for_runs(client: SyncPrefectClient, awake: Mapping[UUID, str], event_id: str) -> tuple[Started, ...]:
    """Wait for the run of each plan that hears the event; the server makes them within seconds."""
    end = time.monotonic() + _STARTING_SECONDS
    runs: list[FlowRun] = []
    while len(runs) < len(awake) and time.monotonic() < end:
        time.sleep(_LOOK_SECONDS)
        runs = [run for run in _newest_runs(client, awake) if run.parameters.get("event_id") == event_id]
    return tuple(_started(awake[run.deployment_id], run) for run in runs if run.deployment_id is not None)


def _newest_runs(client: SyncPrefectClient, awake: Mapping[UUID, str]) -> list[FlowRun]:
    ours = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=list(awake)))
    return client.read_flow_runs(flow_run_filter=ours, sort=FlowRunSort.EXPECTED_START_TIME_DESC, limit=50)


def _started(plan_id: str, run: FlowRun) -> Started:
    state = run.state
    has_ended = state is not None and state.is_final()
    return Started(plan_id, run.id, run.name, run.state_name or "Scheduled", has_ended, run.state_type == _PAUSED)


def _worker_is_online(client: SyncPrefectClient, awake: Mapping[UUID, str]) -> bool:
    pools = {client.read_deployment(one).work_pool_name for one in awake}
    return all(pool is not None and a_worker_is_online(client, pool) for pool in pools)
