"""The deployments that prefect.yaml declares, as they are for one installation: `database-backup`, or, of a target of a fleet,
`database-backup-<target>` with the target's blocks, tags and events.

Nothing here asks a server. A file that somebody changed is read as it is: what can't be read as a deployment is a fault of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from blocks.names import own_name, own_parameters
from holdfast.backup_types import TYPES

Json = dict[str, Any]

ROOT = Path(__file__).resolve().parents[1]
TAG = "holdfast"
PLAN_TAG = "plan:"
"""How the tags begin that say which plan something starts."""
REPLICATION = "replication"
REPLICATION_TRIGGER = "holdfast replicates each backup"
"""The name of the trigger in prefect.yaml; automations that others made for that deployment are left alone."""

FRESH_TRIGGER = "holdfast makes a fresh"
"""How the names of the triggers begin that start a backup where one was found bad."""

TRIGGERS = {REPLICATION: REPLICATION_TRIGGER, **{f"{kind}-backup": f"{FRESH_TRIGGER} {kind} backup" for kind in TYPES}}
"""The triggers in prefect.yaml, by their deployments' names there."""

_RESOURCE = "holdfast."
_BLOCK = re.compile(r"\bholdfast-(?:storage|key|database|functions|configuration)\b")


@dataclass(frozen=True, slots=True)
class Declared:
    """One deployment, as it is to be registered."""

    base: str
    """Its name in prefect.yaml."""
    target: str | None
    entrypoint: str
    description: str
    tags: list[str]
    parameters: Json
    pool: str
    job_variables: Json
    limit: int | None
    limit_options: Json | None
    schedules: list[Json] = field(default_factory=list)
    triggers: list[Json] = field(default_factory=list)
    queue: str | None = None
    """The work queue of its runs; the pool's default queue where it is None."""

    @property
    def name(self) -> str:
        return deployment_name(self.base, self.target)

    @property
    def flow_name(self) -> str:
        """Name the flow, which is called as its function is."""
        return self.entrypoint.rpartition(":")[2]


def declared(target: str | None) -> list[Declared]:
    """Read prefect.yaml, as it is for this target, or for the one installation where there are no targets."""
    return [_declared(one, target) for one in _said()["deployments"]]


def pull_steps(code: Path) -> list[Json]:
    """Tell how a worker comes to the code that lies in this folder on its host."""
    return [
        {step: {name: _placed(value, code) for name, value in inputs.items()} for step, inputs in one.items()}
        for one in _said()["pull"]
    ]


def deployment_name(base: str, target: str | None) -> str:
    """Name a deployment of prefect.yaml as it is called for this target."""
    return f"{base}-{target}" if target else base


def target_tag(target: str) -> str:
    """Name the tag of all deployments of a target."""
    return f"target:{target}"


def plan_tag(plan_id: str) -> str:
    """Name the tag of all that starts a plan."""
    return f"{PLAN_TAG}{plan_id}"


def trigger_name(name: str, target: str | None) -> str:
    """Name a trigger of prefect.yaml as it is called for this target."""
    return f"{name} of {target}" if target else name


def _said() -> Json:
    said: Json = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    return said


def _placed(value: Any, code: Path) -> Any:
    return value.replace("{{ $PWD }}", str(code)) if isinstance(value, str) else value


def _declared(one: Mapping[str, Any], target: str | None) -> Declared:
    limit = dict(one.get("concurrency_limit") or {})
    return Declared(
        base=one["name"],
        target=target,
        entrypoint=one["entrypoint"],
        description=_BLOCK.sub(lambda found: own_name(found.group(), target), one["description"]),
        tags=[*one["tags"], *([target_tag(target)] if target else [])],
        parameters=own_parameters(one["parameters"], target),
        pool=one["work_pool"]["name"],
        job_variables=dict(one["work_pool"].get("job_variables") or {}),
        limit=limit.pop("limit", None),
        limit_options=limit or None,
        schedules=list(one.get("schedules") or []),
        triggers=[_trigger(trigger, target) for trigger in one.get("triggers") or []],
    )


def _trigger(trigger: Mapping[str, Any], target: str | None) -> Json:
    """Let a trigger listen to what happens to this target, and to nothing else."""
    matching = {
        part: {label: list(_resources(value, target)) for label, value in trigger[part].items()}
        for part in ("match", "match_related")
        if part in trigger
    }
    return {**trigger, **matching, "name": trigger_name(trigger["name"], target)}


def _resources(value: str | list[str], target: str | None) -> Iterator[str]:
    for one in [value] if isinstance(value, str) else value:
        yield one.replace(_RESOURCE, f"{_RESOURCE}{target}.", 1) if target and one.startswith(_RESOURCE) else one
