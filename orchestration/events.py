"""Events for Prefect: what happened to a job, for automations, triggers and dead-man's switches.

The resource is what is protected or worked on (`holdfast.database`, of a target `holdfast.shop.database`), so that an automation
may watch each by itself; the job is a related resource. A lost event never harms the work. Of long lists an event has the
beginning and the length, for Prefect refuses an event that is too large; the whole is in the job's artifacts.
"""

from __future__ import annotations

import logging
from typing import Any

from prefect.events import emit_event

LONGEST_LIST = 25
LONGEST_TEXT = 4_000
"""How many items of a list, and how many characters of a text, an event has at most."""

_log = logging.getLogger(__name__)


def resource(target: str | None, type: str) -> str:  # noqa: A002  the field's own word
    """Name the resource of a type of backup, or of a kind of job that is of all types; of a target its own."""
    return f"holdfast.{type}" if target is None else f"holdfast.{target}.{type}"


def emit(name: str, *, job_id: str, type: str, payload: dict[str, Any], target: str | None = None) -> None:  # noqa: A002
    """Emit `holdfast.<name>` about a job of this type of backup."""
    try:
        emit_event(
            event=f"holdfast.{name}",
            resource={"prefect.resource.id": resource(target, type), "prefect.resource.name": type},
            related=[{"prefect.resource.id": f"holdfast.job.{job_id}", "prefect.resource.role": "job"}],
            payload=bounded({key: value for key, value in payload.items() if value is not None}),
        )
    except Exception as error:  # noqa: BLE001  whatever Prefect's client raises
        _log.warning("the event holdfast.%s could not be emitted: %s", name, error)


def bounded(value: Any) -> Any:
    """Shorten what is long, at any depth; beside a list that is cut stands its length, as `keptCount` beside `kept`."""
    if isinstance(value, dict):
        cut = {f"{key}Count": len(one) for key, one in value.items() if isinstance(one, list) and len(one) > LONGEST_LIST}
        return {key: bounded(one) for key, one in value.items()} | cut
    if isinstance(value, list):
        return [bounded(one) for one in value[:LONGEST_LIST]]
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return value[:LONGEST_TEXT] + " …"
    return value
