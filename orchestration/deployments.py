"""Put what prefect.yaml declares onto the Prefect server, whole: at no moment is a schedule there that the settings don't want.

Says what `prefect deploy --all` says, and in the same way, but for what that can't: intervals of the settings, what is off,
what a person paused, and references to secrets, which it would write out in clear. Needs a server that answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefect.client.orchestration import get_client

from blocks.server import asked
from orchestration.automations import apply_automations, remove_automations
from orchestration.declared import TAG, declared, target_tag
from orchestration.recovery.deployments import plan_deployments, register_plans
from orchestration.registering import Place, Registered, Registering, flow_of
from orchestration.schedules import AS_DECLARED, registered, wanted
from orchestration.work_pool import work_pool

if TYPE_CHECKING:
    from holdfast.settings import Settings

Json = dict[str, Any]


def deploy(settings: Settings, place: Place | None = None) -> list[Registered]:
    """Make or renew the work pool and every deployment with its schedules and triggers, as these settings in force say.

    Raises NotFoundError (no such work pool), WorkFailedError (a flow or a deployment is refused), PrefectUnreachableError.
    """
    place = place or Place()
    ours = declared(settings.target)
    flows = {one.base: flow_of(one) for one in ours}  # before anything is changed
    wants = wanted(settings)
    with asked("it is to have the deployments"), get_client(sync_client=True) as client:
        work_pool(client, place.pool)
        there = registered(client, [one.name for one in ours])
        made = [
            Registering(client, one, there.get(one.name), wants.get(one.base, AS_DECLARED)).register(flows[one.base], place)
            for one in ours
        ]
        made += register_plans(client, settings, place)
    apply_automations(settings)
    return made


def template_of(pool: str) -> Json:
    """Return what a work pool says of its job variables; our own is made where it is missing. Raises NotFoundError."""
    with asked("it has the work pool"), get_client(sync_client=True) as client:
        return work_pool(client, pool).base_job_template


def remove(target: str | None) -> list[str]:
    """Take the deployments of a target, or of the one installation, off the server, with all that starts them.

    Runs that were made stay, and so do blocks and backups. Returns the names.
    """
    with asked("it has the deployments"), get_client(sync_client=True) as client:
        found = registered(client, [one.name for one in declared(target)])
        found |= {one.name: one for one in plan_deployments(client, target).values()}
        for deployment in found.values():
            client.delete_resource_owned_automations(f"prefect.deployment.{deployment.id}")
            client.delete_deployment(deployment.id)
        remove_automations(client, target)
        if target:
            for automation in client.read_automations():
                if {TAG, target_tag(target)} <= set(automation.tags):
                    client.delete_automation(automation.id)
    return sorted(found)
