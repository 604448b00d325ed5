"""One deployment on its way to the Prefect server: with its schedules and triggers, and with what is there of it already.

What a person paused stays paused, and schedules that a person added stay. The new triggers are there before the former ones go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http.client import NOT_FOUND
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.objects import ConcurrencyOptions
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.events import DeploymentTriggerTypes
from prefect.events.schemas.automations import Automation
from prefect.exceptions import PrefectHTTPStatusError
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema
from pydantic import TypeAdapter

from holdfast.errors import WorkFailedError
from orchestration.declared import ROOT, Declared, pull_steps
from orchestration.schedules import OFF, Wanted, at_interval, said_schedule, with_mark
from orchestration.work_pool import WORK_POOL

if TYPE_CHECKING:
    from prefect.client.schemas.responses import DeploymentResponse
    from prefect.events.schemas.automations import AutomationCore

Json = dict[str, Any]
_TRIGGERS: TypeAdapter[DeploymentTriggerTypes] = TypeAdapter(DeploymentTriggerTypes)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the runs of deployments are carried out."""

    pool: str = WORK_POOL
    job_variables: Mapping[str, Any] | None = None
    """What the pool's infrastructure is told, such as an image; added to what prefect.yaml says."""
    environment: Mapping[str, str] | None = None
    """Variables of a run; secrets only as references, which the worker resolves."""
    code: Path = ROOT
    """The project's folder where the runs are carried out."""
    pull: list[Json] | None = None
    """How a worker comes to the code, where that is known already; else by its folder."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A deployment as it was put onto the server."""

    id: UUID
    name: str
    is_new: bool
    interval_hours: float | None
    cron: str | None
    """By which its schedule goes, in UTC, where that is no interval."""
    active: bool | None
    """Whether its schedule, or its trigger, is on; None where it has none."""


class Registering:
    """One deployment on its way to the server, with what is there of it already."""

    def __init__(self, client: SyncPrefectClient, one: Declared, there: DeploymentResponse | None, want: Wanted) -> None:
        self._client = client
        self._one = one
        self._there = there
        self._want = want
        self._marked = there is not None and OFF in there.tags
        self._triggers = {} if there is None else {found.name: found for found in reversed(self._owned(there.id))}

    def register(self, flow: Flow[..., Any], place: Place) -> Registered:
        """Put it there, and then what starts it: the new automations before the former ones go, so that no event is missed."""
        schedules = [self._schedule(said) for said in self._one.schedules]
        deployment_id = self._create(flow, place, schedules)
        enabled = [self._create_trigger(deployment_id, said) for said in self._one.triggers]
        self._delete_former(deployment_id)
        states = [*(schedule.active for schedule in schedules), *enabled]
        return Registered(
            id=deployment_id,
            name=f"{self._one.flow_name}/{self._one.name}",
            is_new=self._there is None,
            interval_hours=_hours(schedules),
            cron=_cron(schedules),
            active=any(states) if states else None,
        )

    def _create(self, flow: Flow[..., Any], place: Place, schedules: list[DeploymentScheduleCreate]) -> UUID:
        one = self._one
        try:
            return self._client.create_deployment(
                flow_id=self._client.create_flow_from_name(flow.name),
                name=one.name,
                version=flow.version,
                schedules=[*schedules, *self._schedules_of_others()],
                concurrency_limit=one.limit,
                concurrency_options=None if one.limit_options is None else ConcurrencyOptions(**one.limit_options),
                parameters=one.parameters,
                description=one.description,
                work_pool_name=place.pool,
                work_queue_name=one.queue,
                tags=with_mark(one.tags, mark=not self._want.on),
                entrypoint=one.entrypoint,
                parameter_openapi_schema=parameter_schema(flow).model_dump(exclude_unset=True),
                pull_steps=pull_steps(place.code) if place.pull is None else place.pull,
                enforce_parameter_schema=True,
                job_variables=job_variables_of(one, place),
            )
        except PrefectHTTPStatusError as error:
            if error.response.status_code in (409, 422):
                raise WorkFailedError(
                    f"the server refuses the deployment {one.name}", reason=_detail(error), next_step="Check --job-variable"
                ) from None
            raise

    def _schedule(self, said: Mapping[str, Any]) -> DeploymentScheduleCreate:
        active = self._want.is_to_be_active(self._state_of(said["slug"]), marked=self._marked)
        return DeploymentScheduleCreate(schedule=at_interval(said_schedule(said), self._want), active=active, slug=said["slug"])

    def _state_of(self, slug: str) -> bool | None:
        schedules = self._there.schedules if self._there else []
        return next((schedule.active for schedule in schedules if schedule.slug == slug), None)

    def _schedules_of_others(self) -> list[DeploymentScheduleCreate]:
        """Registering replaces all schedules; those that a person added are put there again."""
        ours = {said["slug"] for said in self._one.schedules}
        return [
            DeploymentScheduleCreate(
                schedule=found.schedule, active=found.active, slug=found.slug, parameters=found.parameters or {}
            )
            for found in (self._there.schedules if self._there else [])
            if found.slug not in ours
        ]

    def _delete_former(self, deployment_id: UUID) -> None:
        """Keep the newest automation of each name that is ours; of two deploys at once neither takes away the only one."""
        said, kept = {one["name"] for one in self._one.triggers}, set[str]()
        for found in self._owned(deployment_id):
            if found.name in said - kept:
                kept.add(found.name)
            else:
                delete_automation(self._client, found.id)

    def _owned(self, deployment_id: UUID) -> list[Automation]:
        """Find the automations that were made with the deployment, and those of our names that lost their owner; newest first."""
        resource = f"prefect.deployment.{deployment_id}"
        found = self._client.request("GET", "/automations/related-to/{resource_id}", path_params={"resource_id": resource}).json()
        newest_first = sorted(found, key=lambda one: (one["created"], one["id"]), reverse=True)
        names = {said["name"] for said in self._one.triggers}
        related = Automation.model_validate_list(newest_first)
        return [one for one in related if one.owner_resource == resource or one.name in names]

    def _is_enabled(self, name: str) -> bool | None:
        return self._triggers[name].enabled if name in self._triggers else None

    def _create_trigger(self, deployment_id: UUID, said: Json) -> bool:
        enabled = self._want.is_to_be_active(self._is_enabled(said["name"]), marked=self._marked)
        self._client.create_automation(automation_of(self._one, {**said, "enabled": enabled}, deployment_id))
        return enabled


def automation_of(one: Declared, said: Mapping[str, Any], deployment_id: UUID) -> AutomationCore:
    """Make the automation of one of a deployment's triggers."""
    trigger = _TRIGGERS.validate_python(dict(said))
    trigger.set_deployment_id(deployment_id)
    automation = trigger.as_automation()
    automation.tags = list(one.tags)
    return automation


def delete_automation(client: SyncPrefectClient, automation_id: UUID) -> None:
    """Delete an automation; harmless where it is gone."""
    try:
        client.delete_automation(automation_id)
    except PrefectHTTPStatusError as error:
        if error.response.status_code != NOT_FOUND:  # else somebody else was quicker
            raise


def flow_of(one: Declared) -> Flow[..., Any]:
    """Load a flow for real: `prefect deploy` would deploy one that can't be imported without a word."""
    try:
        return load_flow_from_entrypoint(str(ROOT / one.entrypoint), use_placeholder_flow=False)
    except Exception as error:
        raise WorkFailedError(f"the flow {one.entrypoint} can't be loaded", reason=f"{type(error).__name__}: {error}") from error


def job_variables_of(one: Declared, place: Place) -> Json:
    said = {**one.job_variables, **(place.job_variables or {})}
    if not place.environment:
        return said
    return {**said, "env": {**said.get("env", {}), **place.environment}}


def _hours(schedules: list[DeploymentScheduleCreate]) -> float | None:
    intervals = [found.schedule.interval for found in schedules if isinstance(found.schedule, IntervalSchedule)]
    return intervals[0].total_seconds() / 3600 if intervals else None


def _cron(schedules: list[DeploymentScheduleCreate]) -> str | None:
    return next((found.schedule.cron for found in schedules if isinstance(found.schedule, CronSchedule)), None)


def _detail(error: PrefectHTTPStatusError) -> str:
    """Take what the server says, without what it was sent: that may hold what the user wrote into a variable by mistake."""
    try:
        detail = error.response.json().get("detail") or error.response.json().get("exception_message")
    except ValueError:
        detail = None
    return str(detail) if isinstance(detail, str) else f"it answers {error.response.status_code}"
