"""Read what rebuilds this project's orchestration: by name, sorted, without ids and times, so that the same gives the same bytes.

Of this project are the work pool `holdfast` and those that its deployments use; deployments with the tag `holdfast` or in that
pool, with their flows; automations that mention the word, or refer to one of those deployments or flows; and every variable but
those in which open alarms are kept, which are no configuration. Of blocks only the names are read, never a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from prefect.client.orchestration import get_client

from blocks.saving import DATABASE, KEY, STORAGE
from blocks.server import asked
from blocks.server_objects import Json, ServerObjects, block_name, queue_name
from holdfast.open_alarms import PREFIX
from holdfast.repository import canonical
from holdfast.sources.configuration.prefect_diff import KINDS
from orchestration.alarm_book import LOCK
from orchestration.prefect_objects.leaving_out import left_out_paths, without_secrets
from orchestration.prefect_objects.references import References, reference
from orchestration.recovery.trouble_book import PREFIX as TROUBLES
from orchestration.work_pool import WORK_POOL

SCHEMA = 1
TAG = "holdfast"

_POOL = ("type", "description", "is_paused", "concurrency_limit", "base_job_template", "storage_configuration")
_QUEUE = ("description", "is_paused", "concurrency_limit", "priority")
_DEPLOYMENT = (
    "concurrency_options",
    "description",
    "enforce_parameter_schema",
    "entrypoint",
    "infrastructure_document_id",
    "job_variables",
    "parameter_openapi_schema",
    "parameters",
    "path",
    "paused",
    "pull_steps",
    "storage_document_id",
    "version",
    "work_pool_name",
)
_SCHEDULE = ("active", "max_scheduled_runs", "parameters", "schedule", "slug")
_AUTOMATION = ("actions", "actions_on_resolve", "actions_on_trigger", "description", "enabled", "name", "tags")


@dataclass(frozen=True, slots=True)
class ProjectObjects:
    """The objects of this project as they live, secrets too, by kind and name; and the ids of its automations."""

    kinds: dict[str, dict[str, Json]]
    automation_ids: dict[str, str]


def read_prefect_objects(*, include_secrets: bool = False) -> Json:
    """Read a document of all that is of this project; what looks like a secret is left out and named, unless it is asked for.

    It has a `schema`, whether `secrets_included`, objects by name under each of KINDS, and `left_out`.
    Raises PrefectUnreachableError.
    """
    with asked("it has the deployments to read"), get_client(sync_client=True) as client:
        objects = ServerObjects.fetch(client)
    return document_of(project_objects(objects, References(objects)).kinds, include_secrets=include_secrets)


def document_of(kinds: dict[str, dict[str, Json]], *, include_secrets: bool = False) -> Json:
    """Make the document of objects as they live."""
    said = {kind: dict(sorted(kinds[kind].items())) for kind in KINDS}
    if not include_secrets:
        block_names = {STORAGE, KEY, DATABASE} | {name.rpartition("/")[2] for name in kinds["blocks"]}
        said = {kind: {name: _masked(kind, name, one, block_names) for name, one in said[kind].items()} for kind in KINDS}
    return {"schema": SCHEMA, "secrets_included": include_secrets} | said | {"left_out": _left_out(said)}


def project_objects(objects: ServerObjects, references: References, also: Json | None = None) -> ProjectObjects:
    """Choose what is of this project, and what has the name of something in the document `also`."""
    named = {kind: set((also or {}).get(kind, ())) for kind in KINDS}
    deployments = {objects.deployment_name(one): one for one in objects.deployments}
    ours = {name: one for name, one in deployments.items() if _is_ours(one) or name in named["deployments"]}
    flows = {name.rpartition("/")[0] for name in ours} | named["flows"]
    pools = {one["work_pool_name"] for one in ours.values()} | {WORK_POOL} | named["work_pools"]
    kinds: dict[str, dict[str, Json]] = {
        "work_pools": {one["name"]: _only(_POOL, one) for one in objects.work_pools if one["name"] in pools},
        "work_queues": {queue_name(one): _only(_QUEUE, one) for one in objects.work_queues if one["work_pool_name"] in pools},
        "flows": {one["name"]: {"tags": sorted(one["tags"])} for one in objects.flows if one["name"] in flows},
        "deployments": {name: _deployment(one) for name, one in ours.items()},
        "variables": {
            one["name"]: {"tags": sorted(one["tags"]), "value": one["value"]} for one in objects.variables if not _is_state(one)
        },
        "blocks": {block_name(one): {"type": one["block_type"]["name"]} for one in objects.blocks},
    }
    automations = {one["id"]: _automation(one) for one in objects.automations}
    named_ones = {identity: references.named(one) for identity, one in automations.items()}
    ids = _keyed(_of_project(named_ones, _mentions(ours, flows), named["automations"]))
    references.call_automations(ids)
    kinds["automations"] = {key: automations[identity] for key, identity in ids.items()}
    return ProjectObjects(kinds=references.named(kinds), automation_ids=ids)


def _is_state(variable: Json) -> bool:
    return str(variable["name"]).startswith((PREFIX, LOCK, TROUBLES))


def _is_ours(deployment: Json) -> bool:
    return TAG in deployment["tags"] or deployment["work_pool_name"] == WORK_POOL


def _mentions(deployments: Iterable[str], flows: Iterable[str]) -> Callable[[Json], bool]:
    ours = {reference("deployment", name) for name in deployments} | {reference("flow", name) for name in flows}

    def mentions(automation: Json) -> bool:
        text = canonical.to_bytes(automation).decode()
        return TAG in text.casefold() or any(one in text for one in ours)

    return mentions


def _of_project(automations: dict[str, Json], is_ours: Callable[[Json], bool], named: set[str]) -> dict[str, Json]:
    """One that only has the name of ours counts where none of ours has it: it is ours, changed."""
    ours = {identity: one for identity, one in automations.items() if is_ours(one)}
    missing = named - {one["name"] for one in ours.values()}
    return ours | {identity: one for identity, one in automations.items() if one["name"] in missing}


def _keyed(automations: dict[str, Json]) -> dict[str, str]:
    """Give each automation a key: its name, with a number where several have one name, in the order of what they say."""
    found: dict[str, str] = {}
    for identity, automation in sorted(automations.items(), key=lambda item: canonical.to_bytes(item[1])):
        key, number = automation["name"], 1
        while key in found:
            number += 1
            key = f"{automation['name']} ({number})"
        found[key] = identity
    return found


def _deployment(deployment: Json) -> Json:
    limit = deployment["global_concurrency_limit"] or {}
    schedules = sorted((_only(_SCHEDULE, one) for one in deployment["schedules"]), key=_order_of_schedule)
    labels = {name: value for name, value in (deployment["labels"] or {}).items() if not name.startswith("prefect.")}
    return _only(_DEPLOYMENT, deployment) | {
        "concurrency_limit": limit.get("limit"),
        "labels": labels,
        "schedules": schedules,
        "tags": sorted(deployment["tags"]),
        "work_queue_name": deployment["work_queue_name"] if deployment["work_pool_name"] else None,  # a remnant without one
    }


def _order_of_schedule(schedule: Json) -> tuple[str, bytes]:
    return schedule["slug"] or "", canonical.to_bytes(schedule)


def _automation(automation: Json) -> Json:
    return _only(_AUTOMATION, automation) | {"tags": sorted(automation["tags"]), "trigger": _trigger(automation["trigger"])}


def _trigger(trigger: Json) -> Json:
    """Without its id; those of a compound trigger too. What is a set to Prefect comes sorted."""
    said = {name: value for name, value in trigger.items() if name != "id"}
    said |= {name: sorted(said[name]) for name in ("after", "expect", "for_each") if name in said}
    if "triggers" in said:
        said["triggers"] = [_trigger(one) for one in said["triggers"]]
    return said


def _only(fields: Iterable[str], raw: Json) -> Json:
    return {field: raw[field] for field in fields}


def _masked(kind: str, name: str, value: Json, block_names: set[str]) -> Json:
    """A deployment's version is the digest of its code, and looks like a secret."""
    masked: Json = without_secrets(value, name if kind == "variables" else kind, block_names)
    return masked | {"version": value["version"]} if kind == "deployments" else masked


def _left_out(kinds: dict[str, dict[str, Json]]) -> list[Json]:
    return [
        {"name": f"{kind}/{name} {path}", "reason": "it looks like a secret"}
        for kind, of_kind in kinds.items()
        for name, value in of_kind.items()
        for path in left_out_paths(value)
    ]
