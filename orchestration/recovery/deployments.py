"""The deployments of recovery plans: one for each, in the queue of its priority, with the trigger that its events start it by.

They follow the plans in the catalog: a plan that is added is deployed at once, one that is disabled or removed hears of no event
any more. Looking costs two requests; what is as it should be is left alone, and what a person paused stays paused. They are
carried out where the health monitor is: with its pool, its settings and its code.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.events.schemas.automations import Automation
from prefect.exceptions import ObjectNotFound

from blocks.names import own_parameters
from blocks.server import asked
from blocks.server_objects import read_all
from holdfast.errors import HoldfastError
from holdfast.opening import catalog_if_running
from holdfast.recovery.plan_book import PlanBook
from orchestration.automations import compared
from orchestration.declared import TAG, Declared, deployment_name, plan_tag, target_tag
from orchestration.recovery.triggers import FLOW, STORAGE, TAG_OF_PLANS, plan_of, trigger_of
from orchestration.registering import Place, Registered, Registering, automation_of, delete_automation, flow_of
from orchestration.schedules import Wanted, with_mark
from orchestration.work_pool import WORK_POOL, priority_queues, work_pool

if TYPE_CHECKING:
    from prefect.client.schemas.responses import DeploymentResponse

    from holdfast.recovery.plan import Plan
    from holdfast.settings import Settings

Json = dict[str, Any]

_BESIDE, _TAG_BESIDE = "health-monitor", "monitor"
_PAGE = 200
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Wish:
    """What is to be there of a plan: its deployment, and whether events start it."""

    plan: Plan
    one: Declared
    want: Wanted


def apply_plans(settings: Settings) -> list[str]:
    """Have a deployment and a trigger for each plan of the catalog, and none for others; return what changed, in words.

    Nothing is done where nothing of this target is deployed yet, or where the catalog can't be asked. Raises
    PrefectUnreachableError.
    """
    known = _Known.of(settings)
    if known is None:
        return []
    with asked("it is to have the recovery plans"), get_client(sync_client=True) as client:
        there, beside = _there(client, settings.target)
        if beside is None:
            return []
        triggers = _triggers(client, settings.target)
        wishes = known.wishes(settings, there)
        changed = [one for one in wishes if not _is_as_wished(one, there, triggers, beside)]
        _delete_strays(client, triggers, there, wishes)
        _register(client, changed, there, _place_of(beside))
        gone = _remove_unknown(client, known, there)
    return [*(_said(one, there) for one in changed), *(f"{name}: no more" for name in gone)]


def register_plans(client: SyncPrefectClient, settings: Settings, place: Place) -> list[Registered]:
    """Make or renew the deployments of all plans, for these runs' place, and take away those of plans that are no more.

    Where the catalog can't be asked, they stay as they are: the health monitor sees to them as soon as it can be.
    """
    known = _Known.of(settings)
    if known is None:
        return []
    there, _ = _there(client, settings.target)
    wishes = known.wishes(settings, there)
    _delete_strays(client, _triggers(client, settings.target), there, wishes)
    _remove_unknown(client, known, there)
    return _register(client, wishes, there, place)


def plan_deployments(client: SyncPrefectClient, target: str | None) -> dict[str, DeploymentResponse]:
    """Return the deployments of plans that are on the server, by their plans' ids."""
    return _there(client, target)[0]


@dataclass(frozen=True, slots=True)
class _Known:
    """The plans of the catalog; `all_read` is False where a row holds none that can be read."""

    plans: dict[str, Plan]
    all_read: bool = True

    @classmethod
    def of(cls, settings: Settings) -> _Known | None:
        """Read them; None where the catalog does not run or can't be asked: a copy, or the defaults, may lack what it has."""
        try:
            with catalog_if_running(settings) as catalog:
                found = None if catalog is None else PlanBook(settings, lambda: catalog).all()
        except HoldfastError as error:
            _log.warning("the deployments of recovery plans stay as they are: %s", error.what_and_why)
            return None
        if found is None or found.origin != "catalog":
            _log.warning("the deployments of recovery plans stay as they are: %s", found.note if found else "no catalog runs")
            return None
        return cls({plan.id: plan for plan in found.plans}, not found.unreadable)

    def wishes(self, settings: Settings, there: Container[str]) -> list[_Wish]:
        """Say what is to be there. A plan that is disabled keeps its deployment, without a trigger and marked as off."""
        on = settings.enable_recovery
        return [
            _Wish(plan, declared_plan(plan, name, settings.target), Wanted(on=on and plan.enabled))
            for plan_id, name in _names(self.plans).items()
            if (plan := self.plans[plan_id]).enabled or plan_id in there
        ]


def _names(plan_ids: Iterable[str]) -> dict[str, str]:
    """Name each plan's deployment; ids that differ by `_` and `-` alone keep theirs."""
    names: dict[str, str] = {}
    for plan_id in sorted(plan_ids, key=lambda one: ("_" in one, one)):
        name = f"recover-{plan_id.replace('_', '-')}"
        names[plan_id] = f"recover-{plan_id}" if name in names.values() else name
    return names


def declared_plan(plan: Plan, name: str, target: str | None) -> Declared:
    """Say the deployment of a plan, which is called so, as prefect.yaml says others."""
    return Declared(
        base=name,
        target=target,
        entrypoint=f"flows/{FLOW}.py:{FLOW}",
        description=f"Recovery plan {plan.id}: {plan.name}. {plan.description}".strip(),
        tags=[TAG, TAG_OF_PLANS, plan_tag(plan.id), *([target_tag(target)] if target else [])],
        parameters={"plan_id": plan.id, **own_parameters({"storage": STORAGE, "key": "holdfast-key"}, target)},
        pool=WORK_POOL,
        job_variables={"stream_output": False},
        limit=None,  # an execution is alone by its own lock: a slot that a dead run holds would keep a plan from starting
        limit_options=None,
        triggers=trigger_of(plan, target) if plan.enabled else [],
        queue=plan.priority,
    )


def _there(client: SyncPrefectClient, target: str | None) -> tuple[dict[str, DeploymentResponse], DeploymentResponse | None]:
    """Find the deployments of plans by their ids, and the one that they are to be beside."""
    tags = DeploymentFilterTags(any_=[TAG_OF_PLANS, _TAG_BESIDE])
    found, beside = {}, None
    for one in _all(client, DeploymentFilter(tags=tags)):
        plan_id = plan_of(one.tags, target)
        if plan_id is not None:
            found[plan_id] = one
        elif TAG in one.tags and one.name == deployment_name(_BESIDE, target):
            beside = one
    return found, beside


def _all(client: SyncPrefectClient, ours: DeploymentFilter) -> Iterator[DeploymentResponse]:
    offset, page = 0, client.read_deployments(deployment_filter=ours, limit=_PAGE)
    while page:
        yield from page
        offset += len(page)
        page = client.read_deployments(deployment_filter=ours, limit=_PAGE, offset=offset) if len(page) == _PAGE else []


def _triggers(client: SyncPrefectClient, target: str | None) -> dict[str, list[Automation]]:
    found: dict[str, list[Automation]] = {}
    for one in read_all(client, "/automations/filter"):
        if (plan_id := plan_of(one["tags"], target)) is not None:
            found.setdefault(plan_id, []).append(Automation.model_validate(one))
    return found


def _is_as_wished(
    wish: _Wish, there: Mapping[str, DeploymentResponse], triggers: Mapping[str, list[Automation]], beside: DeploymentResponse
) -> bool:
    found, one = there.get(wish.plan.id), wish.one
    if found is None:
        return False
    said = [compared(automation_of(one, trigger, found.id)) for trigger in one.triggers]
    return [compared(trigger) for trigger in triggers.get(wish.plan.id, [])] == said and _described(found) == {
        "name": one.name,
        "description": one.description,
        "tags": sorted(with_mark(one.tags, mark=not wish.want.on)),
        "parameters": one.parameters,
        "entrypoint": one.entrypoint,
        "queue": one.queue,
        "pool": beside.work_pool_name,
        "job_variables": {**one.job_variables, **beside.job_variables},
        "pull": beside.pull_steps,
    }


def _described(there: DeploymentResponse) -> Json:
    return {
        "name": there.name,
        "description": there.description,
        "tags": sorted(there.tags),
        "parameters": there.parameters,
        "entrypoint": there.entrypoint,
        "queue": there.work_queue_name,
        "pool": there.work_pool_name,
        "job_variables": there.job_variables,
        "pull": there.pull_steps,
    }


def _place_of(beside: DeploymentResponse) -> Place:
    return Place(pool=beside.work_pool_name or WORK_POOL, job_variables=beside.job_variables, pull=beside.pull_steps)


def _register(
    client: SyncPrefectClient, wishes: Sequence[_Wish], there: Mapping[str, DeploymentResponse], place: Place
) -> list[Registered]:
    """Register what is wished. A deployment that is called otherwise now is a new one, and the former goes after it."""
    if not wishes:
        return []
    work_pool(client, place.pool)
    priority_queues(client, place.pool)
    flow = flow_of(wishes[0].one)
    made = []
    for wish in wishes:
        found = there.get(wish.plan.id)
        same = found if found is not None and found.name == wish.one.name else None
        made.append(Registering(client, wish.one, same, wish.want).register(flow, place))
        if found is not None and same is None:
            _remove(client, found)
    return made


def _said(wish: _Wish, there: Container[str]) -> str:
    if not (wish.plan.enabled and wish.plan.triggers):
        return f"{wish.one.name}: hears of no event"
    return f"{wish.one.name}: {'renewed' if wish.plan.id in there else 'hears of its events'}"


def _remove_unknown(client: SyncPrefectClient, known: _Known, there: Mapping[str, DeploymentResponse]) -> list[str]:
    unknown = sorted(there.keys() - known.plans.keys()) if known.all_read else []
    return [_remove(client, there[plan_id]) for plan_id in unknown]


def _delete_strays(
    client: SyncPrefectClient,
    triggers: Mapping[str, list[Automation]],
    there: Mapping[str, DeploymentResponse],
    wishes: Iterable[_Wish],
) -> None:
    """Delete triggers of plans that no event is to start now, and those whose deployment somebody deleted."""
    deaf = {wish.plan.id for wish in wishes if not wish.one.triggers}
    for plan_id, found in triggers.items():
        live = there[plan_id].id if plan_id in there else None
        for one in found:
            if plan_id in deaf or all(getattr(action, "deployment_id", None) != live for action in one.actions):
                delete_automation(client, one.id)


def _remove(client: SyncPrefectClient, deployment: DeploymentResponse) -> str:
    client.delete_resource_owned_automations(f"prefect.deployment.{deployment.id}")
    with suppress(ObjectNotFound):  # somebody else was quicker
        client.delete_deployment(deployment.id)
    return deployment.name
