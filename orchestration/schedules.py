"""The live schedules follow the settings in force: how often, and whether at all; and so does the trigger of replications.

What the settings have off is switched off and gets a tag, and only what has that tag is switched on again: what a person paused
in Prefect stays paused. Looking costs two requests; what is as it should be is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName, DeploymentFilterTags
from prefect.client.schemas.schedules import SCHEDULE_TYPES, CronSchedule, IntervalSchedule

from blocks.server import asked
from holdfast.backup_types import TYPES, why_off
from orchestration.declared import REPLICATION, TAG, TRIGGERS, deployment_name, trigger_name
from orchestration.work_pool import a_worker_is_online

if TYPE_CHECKING:
    from prefect.client.schemas.objects import DeploymentSchedule
    from prefect.client.schemas.responses import DeploymentResponse
    from prefect.events.schemas.automations import Automation

    from holdfast.settings import Settings

OFF = "off"
"""The tag of a deployment whose schedule or trigger the settings have off."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the settings want of one deployment of prefect.yaml."""

    hours: float | None = None
    """How often; None as prefect.yaml says."""
    on: bool = True

    def is_to_be_active(self, active: bool | None, *, marked: bool) -> bool:
        """Tell whether what is active now, or was not there (None), is to be; what a person paused stays paused."""
        if not self.on:
            return False
        return active is None or active or marked


AS_DECLARED = Wanted()


def wanted(settings: Settings) -> dict[str, Wanted]:
    """Tell what the settings want of the deployments of prefect.yaml, by their names there; of others nothing."""
    on = {kind: why_off(kind, settings) is None for kind in TYPES}
    backups = {f"{kind}-backup": Wanted(getattr(settings, f"{kind}_backup_interval"), on[kind]) for kind in TYPES}
    verified = settings.enable_backup_verification
    return {
        **backups,
        **{f"{kind}-verification": Wanted(settings.verification_interval, verified and on[kind]) for kind in TYPES},
        "repository-check": Wanted(settings.verification_interval, verified),
        "recovery-drill": Wanted(on=verified and any(on.values())),
        REPLICATION: Wanted(on=bool(settings.replicas)),
        "health-monitor": Wanted(settings.monitor_interval_minutes / 60),
    }


def reconcile_schedules(settings: Settings) -> list[str]:
    """Set the live schedules, and the trigger of replications, as these settings in force say; return what changed, in words.

    Deployments that are not there are passed over. Raises PrefectUnreachableError.
    """
    by_name = {deployment_name(base, settings.target): (base, want) for base, want in wanted(settings).items()}
    with asked("it has the schedules"), get_client(sync_client=True) as client:
        changes: list[str] = []
        for name, deployment in registered(client, by_name).items():
            base, want = by_name[name]
            changes += dict.fromkeys(_reconcile(client, deployment, base, want, settings.target))
        return changes


def reschedule(settings: Settings) -> list[str]:
    """Have a change of the stored configuration take effect at once where a Prefect server answers; else the next deploy does it.

    Returns what changed, in words. Raises PrefectUnreachableError.
    """
    from orchestration.job import in_force

    return reconcile_schedules(in_force(settings))


def registered(client: SyncPrefectClient, names: Iterable[str]) -> dict[str, DeploymentResponse]:
    """Return those of our deployments that are on the server, by name."""
    ours = DeploymentFilter(name=DeploymentFilterName(any_=list(names)), tags=DeploymentFilterTags(all_=[TAG]))
    return {found.name: found for found in client.read_deployments(deployment_filter=ours)}


def replicates_by_itself(settings: Settings) -> bool:
    """Tell whether a completed backup starts a replication here: its trigger is on, and a worker is there to run it."""
    name = deployment_name(REPLICATION, settings.target)
    with get_client(sync_client=True) as client:
        found = registered(client, [name]).get(name)
        if found is None:
            return False
        triggered = any(trigger.enabled for trigger in own_triggers(client, found, settings.target))
        return triggered and a_worker_is_online(client, str(found.work_pool_name))


def own_triggers(
    client: SyncPrefectClient, deployment: DeploymentResponse, target: str | None, base: str = REPLICATION
) -> list[Automation]:
    """Return the trigger of a deployment that prefect.yaml declares, and none that others made for it."""
    related = client.read_resource_related_automations(f"prefect.deployment.{deployment.id}")
    return [automation for automation in related if automation.name == trigger_name(TRIGGERS[base], target)]


def _reconcile(
    client: SyncPrefectClient, deployment: DeploymentResponse, base: str, want: Wanted, target: str | None
) -> Iterator[str]:
    """Bring one deployment in line. The tag is there before anything is off, and goes after it is on again."""
    marked = OFF in deployment.tags
    if not want.on and not marked:
        _mark(client, deployment, mark=True)
    for schedule in deployment.schedules:
        if schedule.slug == base:  # others were added by a person
            yield from _set_schedule(client, deployment, schedule, want, marked=marked)
    # To look for it costs a request, and of a backup's deployment it is switched when its schedule is.
    looks = base == REPLICATION or (base in TRIGGERS and marked == want.on)
    for trigger in own_triggers(client, deployment, target, base) if looks else []:
        yield from _set_trigger(client, deployment, trigger, want, marked=marked)
    if want.on and marked:
        _mark(client, deployment, mark=False)


def _set_schedule(
    client: SyncPrefectClient, deployment: DeploymentResponse, schedule: DeploymentSchedule, want: Wanted, *, marked: bool
) -> Iterator[str]:
    active = want.is_to_be_active(schedule.active, marked=marked)
    timed = at_interval(schedule.schedule, want)
    if (active, timed) == (schedule.active, schedule.schedule):
        return
    # Runs that wait for their time go with the old schedule. Without its parameters, the update would wipe them.
    client.update_deployment_schedule(deployment.id, schedule.id, active=active, schedule=timed, parameters=schedule.parameters)
    if timed != schedule.schedule:
        yield f"{deployment.name}: every {_often(want.hours or 0)}"
    if active != schedule.active:
        yield f"{deployment.name}: {'on' if active else 'off'}"


def _often(hours: float) -> str:
    if hours >= 1:
        return f"{hours:g} hours"
    return f"{hours * 60:g} minutes"


def said_schedule(said: Mapping[str, Any]) -> SCHEDULE_TYPES:
    """Make the schedule that prefect.yaml says: by an interval, or as cron does."""
    if "cron" in said:
        return CronSchedule(cron=said["cron"], timezone=said["timezone"])
    return IntervalSchedule(
        interval=timedelta(seconds=said["interval"]), anchor_date=said["anchor_date"], timezone=said["timezone"]
    )


def at_interval(schedule: SCHEDULE_TYPES, want: Wanted) -> SCHEDULE_TYPES:
    """Return the schedule with the interval that is wanted; one that is not by interval stays as it is."""
    if want.hours is None or not isinstance(schedule, IntervalSchedule):
        return schedule
    return schedule.model_copy(update={"interval": timedelta(hours=want.hours)})


def _set_trigger(
    client: SyncPrefectClient, deployment: DeploymentResponse, trigger: Automation, want: Wanted, *, marked: bool
) -> Iterator[str]:
    enabled = want.is_to_be_active(trigger.enabled, marked=marked)
    if enabled == trigger.enabled:
        return
    (client.resume_automation if enabled else client.pause_automation)(trigger.id)
    yield f"{deployment.name}: {'on' if enabled else 'off'}"


def _mark(client: SyncPrefectClient, deployment: DeploymentResponse, *, mark: bool) -> None:
    tags = with_mark(deployment.tags, mark=mark)
    client.update_deployment(deployment.id, DeploymentUpdate(tags=tags))


def with_mark(tags: Iterable[str], *, mark: bool) -> list[str]:
    """Return these tags with the mark, or without it."""
    return [*(tag for tag in tags if tag != OFF), *([OFF] if mark else [])]
