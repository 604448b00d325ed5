"""What the Prefect server watches by itself, with every worker dead: backups that did not come, and runs that fell silent.

An automation of ours is told by its name and tag; those of other people are never touched, and one that somebody paused stays
paused. Looking costs two requests; what is as it should be is left alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import StateType
from prefect.events import EventTrigger
from prefect.events.actions import ActionTypes, ChangeFlowRunState, SendNotification
from prefect.events.schemas.automations import AutomationCore, Posture

from blocks.channels import channels_in_use
from blocks.server import asked
from holdfast import figures
from holdfast.backup_types import TYPES, why_off
from holdfast.errors import HoldfastError
from holdfast.objectives import LATE, interval_of
from holdfast.opening import open_catalog
from orchestration.declared import TAG, target_tag, trigger_name
from orchestration.events import resource

if TYPE_CHECKING:
    from prefect.events.schemas.automations import Automation

    from blocks.channels import Channel
    from holdfast.settings import Settings

COMPLETED = "holdfast.backup.completed"
EXPECTED = "holdfast.backup.expected"
"""Begins the wait for a type's next backup where none was completed since the server watches; its payload is the last one's."""

HEARTBEAT = "prefect.flow-run.heartbeat"
WATCH = "watch"
"""The tag of all automations here, beside `holdfast` and the target's."""

SILENT = timedelta(minutes=10)
"""How long a run may be silent: three of Prefect's heartbeats, which come every three minutes, and one minute."""

SILENT_RUNS = "holdfast ends runs that fell silent"
_ENDED = [f"prefect.flow-run.{name}" for name in ("Completed", "Failed", "Crashed", "Cancelled", "TimedOut")]
_LEAST_MARGIN = timedelta(minutes=15)
LOADING_SECONDS = 2.0
"""How long the server may take until it heeds an automation that it has just been given: it answers before."""

_COMPARED = {"name", "description", "tags", "trigger", "actions", "actions_on_trigger", "actions_on_resolve"}


def apply_automations(settings: Settings, *, begin: bool = True) -> list[str]:
    """Have the server watch over what these settings in force have switched on, and return what changed, in words.

    `begin` has the wait for a backup begin now where it has not begun. Raises PrefectUnreachableError.
    """
    with asked("it is to watch over the backups"), get_client(sync_client=True) as client:
        channels = channels_in_use(settings)
        wants = wanted_automations(settings, channels)
        ours = sorted(_ours(client, settings.target), key=lambda found: str(found.id))
        there = {found.name: found for found in ours}
        changes = [change for want in wants for change in _put(client, want, there.get(want.name))]
        wanted = {want.name for want in wants}
        for found in ours:  # two who put one there at once leave two, which would tell everything twice
            if found.name not in wanted or found is not there[found.name]:
                client.delete_automation(found.id)
                changes.append(f"{found.name}: no more")
        if channels and (begin or changes):
            time.sleep(LOADING_SECONDS if changes else 0)
            _begin_to_wait(client, settings)
        return changes


def wanted_automations(settings: Settings, channels: Mapping[str, Channel]) -> list[AutomationCore]:
    """Make what these settings want, with these channels to be told by."""
    return [_ends_silent_runs(), *_missed_backups(settings, channels)]


def remove_automations(client: SyncPrefectClient, target: str | None) -> list[str]:
    """Take what watches for a target, or for the one installation, off the server; return the names."""
    found = [one for one in _ours(client, target) if target is None or one.name != SILENT_RUNS]
    for one in found:
        client.delete_automation(one.id)
    return [one.name for one in found]


def missed_backup(kind: str, target: str | None) -> str:
    """Name the automation that misses the backups of a type."""
    return trigger_name(f"holdfast misses a {kind} backup", target)


def patience(kind: str, settings: Settings) -> timedelta:
    """Tell how long after a completed backup the next one is missed."""
    interval = interval_of(kind, settings)
    return max(interval * LATE, interval + _LEAST_MARGIN)


def absence(resource_id: str, within: timedelta, *, after: set[str], expect: str) -> EventTrigger:
    """Make the trigger that fires where a resource's next event has not come within this time after one of the others."""
    return EventTrigger(
        match={"prefect.resource.id": resource_id},
        match_related={},
        after=after,
        expect={expect},
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=within,
    )


def send(client: SyncPrefectClient, name: str, resource_id: str, payload: dict[str, Any], at: datetime | None = None) -> str:
    """Send an event at once, so that it is there when this returns its id."""
    event = {
        "id": str(uuid4()),
        "occurred": (at or datetime.now(UTC)).isoformat(),
        "event": name,
        "resource": {"prefect.resource.id": resource_id, "prefect.resource.name": resource_id.rpartition(".")[2]},
        "related": [],
        "payload": payload,
    }
    client._client.post("/events", json=[event]).raise_for_status()
    return str(event["id"])


def _missed_backups(settings: Settings, channels: Mapping[str, Channel]) -> Iterator[AutomationCore]:
    """Make one for each type that is on, where there is anybody to tell."""
    for kind in TYPES if channels else ():
        if why_off(kind, settings) is None:
            subject, body = _message(kind, settings)
            actions: list[ActionTypes] = [
                SendNotification(block_document_id=one.document.id, subject=subject, body=body) for one in channels.values()
            ]
            name = missed_backup(kind, settings.target)
            watched = resource(settings.target, kind)
            description = f"Tells when no {COMPLETED} of {watched} has come for {figures.span(patience(kind, settings))}."
            trigger = absence(watched, patience(kind, settings), after={COMPLETED, EXPECTED}, expect=COMPLETED)
            yield automation(name, description, trigger, actions, _tags(settings.target))


def _message(kind: str, settings: Settings) -> tuple[str, str]:
    of = f" of {settings.target}" if settings.target else ""
    subject = f"Holdfast: no {kind} backup{of} for more than {figures.span(patience(kind, settings))}"
    body = f"""\
What: no {kind} backup{of} has been completed for more than {figures.span(patience(kind, settings))}; there should be one every \
{figures.span(interval_of(kind, settings))}.
Since: {{{{ event.payload.completedAt or event.occurred.strftime('%Y-%m-%dT%H:%M:%SZ') }}}}.
Last good backup: {{% if event.payload.jobId %}}{{{{ event.payload.jobId }}}}, completed {{{{ event.payload.completedAt }}}}, \
{{{{ event.payload.verifiedLevel or 'not proven' }}}}{{% else %}}none is known{{% endif %}}.
What to do: see that a worker runs ('holdfast serve') and that the schedule is on in Prefect; 'holdfast status' tells how things \
stand. Then run: holdfast backup {kind}

The Prefect server tells this by itself. It tells it once, and again only after another backup was completed."""
    return subject, body


def _ends_silent_runs() -> AutomationCore:
    """Make the one that ends those runs of Holdfast, of all targets, whose heartbeat Prefect no longer hears."""
    trigger = EventTrigger(
        match={"prefect.resource.id": "prefect.flow-run.*"},
        match_related={"prefect.resource.id": f"prefect.tag.{TAG}", "prefect.resource.role": "tag"},
        after={HEARTBEAT},
        expect={HEARTBEAT, *_ENDED},
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=SILENT,
    )
    message = f"its process has not been heard of for {figures.span(SILENT)}, though it tells every three minutes that it lives"
    action = ChangeFlowRunState(name=None, state=StateType.CRASHED, message=message, force=False)
    return automation(SILENT_RUNS, "Sets runs of Holdfast to Crashed whose process is gone.", trigger, [action], [TAG, WATCH])


def automation(name: str, description: str, trigger: EventTrigger, actions: list[ActionTypes], tags: list[str]) -> AutomationCore:
    """Say everything: an update sends what was said, and nothing else."""
    return AutomationCore(
        name=name,
        description=description,
        enabled=True,
        tags=tags,
        trigger=trigger,
        actions=actions,
        actions_on_trigger=[],
        actions_on_resolve=[],
    )


def _put(client: SyncPrefectClient, want: AutomationCore, there: Automation | None) -> Iterator[str]:
    if there is None:
        client.create_automation(want)
        yield f"{want.name}: watched"
    elif compared(there) != compared(want):
        want.enabled = there.enabled
        client.update_automation(there.id, want)
        yield f"{want.name}: renewed"


def compared(one: AutomationCore) -> dict[str, Any]:
    """Describe an automation by all that it says, but for whether it is on."""
    said = one.model_dump(mode="json", include=_COMPARED)
    trigger = {name: sorted(value) if isinstance(value, list) else value for name, value in said["trigger"].items()}
    return {**said, "tags": sorted(said["tags"]), "trigger": trigger}


def _ours(client: SyncPrefectClient, target: str | None) -> list[Automation]:
    """Find those of this target, and the one that is everybody's."""
    targets = [tag for tag in _tags(target) if tag not in (TAG, WATCH)]

    def is_ours(one: Automation) -> bool:
        tags = set(one.tags)
        mine = [tag for tag in tags if tag.startswith(target_tag(""))] == targets
        return {TAG, WATCH} <= tags and (mine or one.name == SILENT_RUNS)

    return [one for one in _all(client) if is_ours(one)]


def _all(client: SyncPrefectClient) -> Iterator[Automation]:
    page, offset = client.read_automations(limit=200), 0
    while page:
        yield from page
        offset += len(page)
        page = client.read_automations(limit=200, offset=offset) if len(page) == 200 else []


def _tags(target: str | None) -> list[str]:
    return [TAG, WATCH, *([target_tag(target)] if target else [])]


def _begin_to_wait(client: SyncPrefectClient, settings: Settings) -> None:
    """Have the wait for each type's next backup begin, where no completed backup has begun it; where it has, nothing changes."""
    last = _last_good(settings)
    for kind in TYPES:
        if why_off(kind, settings) is None:
            send(client, EXPECTED, resource(settings.target, kind), last.get(kind, {}))


def _last_good(settings: Settings) -> dict[str, dict[str, Any]]:
    """Tell what is known of the last good backups: only for the message, so that a catalog that is down hinders nothing."""
    try:
        with open_catalog(settings) as catalog:
            rows = catalog.dashboard()
    except HoldfastError:
        return {}
    return {
        row["type"]: {
            "jobId": row["last_success_job_id"],
            "completedAt": row["last_success"].strftime("%Y-%m-%dT%H:%M:%SZ"),
            "verifiedLevel": row["verified_level"],
        }
        for row in rows
        if row["last_success"] is not None
    }
