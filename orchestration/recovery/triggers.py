"""Where an event and the plans that it starts meet on the Prefect server: the trigger of a plan's deployment, and who listens.

An event is called as the guide calls it, so that anybody can emit it. Its resource is the installation's, or the target's, own:
no plan of another target hears of it. What it says goes to the run as `facts`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType

from blocks.names import own_name
from blocks.server_objects import read_all
from holdfast.recovery.plan import TEST_TRIGGER, Plan
from holdfast.recovery.triggers import RESOURCE
from orchestration.automations import send
from orchestration.declared import PLAN_TAG, TAG, target_tag, trigger_name
from orchestration.events import resource

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

Json = dict[str, Any]

FLOW = "disaster_recovery"
"""The flow that carries out a plan."""

TAG_OF_PLANS = "recovery"
STORAGE = "holdfast-storage"
_BEGUN_OR_TO_BEGIN = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.PAUSED, StateType.CANCELLING]


@dataclass(frozen=True, slots=True)
class Listener:
    """A plan that events start, as the Prefect server has it."""

    plan_id: str
    deployment_id: UUID
    events: frozenset[str]
    on: bool
    """False where a person, or the settings, have paused it."""


def plan_of(tags: Iterable[str], target: str | None) -> str | None:
    """Tell which plan of this target, or of the one installation, these are the tags of."""
    tags = set(tags)
    targets = {tag for tag in tags if tag.startswith(target_tag(""))}
    if not {TAG, TAG_OF_PLANS} <= tags or targets != ({target_tag(target)} if target else set()):
        return None
    return next((tag.removeprefix(PLAN_TAG) for tag in tags if tag.startswith(PLAN_TAG)), None)


def trigger_of(plan: Plan, target: str | None) -> list[Json]:
    """Say the trigger of a plan as prefect.yaml would; none where no event starts it."""
    if not plan.triggers:
        return []
    said = {
        "name": trigger_name(f"holdfast recovers by {plan.id}", target),
        "description": f"Starts the recovery plan {plan.id} when one of its events is emitted.",
        "enabled": True,
        "type": "event",
        "posture": "Reactive",
        "expect": sorted(plan.triggers),
        "match": {"prefect.resource.id": [resource(target, RESOURCE)]},
        "threshold": 1,
        "within": 0,
        "parameters": {
            "trigger": _template("event.event"),
            "event_id": _template("event.id"),
            "occurred_at": _template("event.occurred.isoformat()"),
            "facts": {"__prefect_kind": "json", "value": _template("event.payload | tojson")},
        },
    }
    return [said]


def listeners(client: SyncPrefectClient, target: str | None) -> list[Listener]:
    """Name the plans of this target, or of the one installation, that listen to events, by their automations."""
    found = []
    for one in read_all(client, "/automations/filter"):
        plan_id = plan_of(one["tags"], target)
        started = [action["deployment_id"] for action in one["actions"] if action.get("deployment_id")]
        if plan_id is not None and started:
            events = frozenset(one["trigger"].get("expect", ())) - {TEST_TRIGGER}
            found.append(Listener(plan_id, UUID(started[0]), events, bool(one["enabled"])))
    return sorted(found, key=lambda one: one.plan_id)


def listening(client: SyncPrefectClient, target: str | None, event: str) -> list[Listener]:
    """Name those that listen to this event."""
    return [one for one in listeners(client, target) if event in one.events]


def send_trigger(client: SyncPrefectClient, target: str | None, event: str, payload: Json) -> str:
    """Send one of these events at once, and return its id."""
    return send(client, event, resource(target, RESOURCE), payload)


def open_executions(client: SyncPrefectClient, plan_ids: Iterable[str], target: str | None) -> list[FlowRun]:
    """Find runs of these plans that have not ended, whoever started them: those that wait for a person or a worker, too."""
    states = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_BEGUN_OR_TO_BEGIN)))
    runs = client.read_flow_runs(flow_filter=FlowFilter(name=FlowFilterName(any_=[FLOW])), flow_run_filter=states)
    plans, storage = set(plan_ids), own_name(STORAGE, target)
    return [run for run in runs if _is_of(run.parameters, plans, storage)]


def _is_of(parameters: Json, plans: set[str], storage: str) -> bool:
    ours = parameters.get("plan_id") in plans and parameters.get("storage", STORAGE) == storage
    return ours and parameters.get("mode", "run") == "run" and parameters.get("trigger") != TEST_TRIGGER


def _template(expression: str) -> Json:
    return {"__prefect_kind": "jinja", "template": f"{{{{ {expression} }}}}"}
