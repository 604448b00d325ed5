"""Events for Prefect: what happened to a job, for automations, triggers and dead-man's switches.

The resource is what is protected or worked on (`holdfast.database`), so that an automation may watch each by itself; the job is a
related resource. A lost event never harms the work.
"""

from __future__ import annotations

import logging
from typing import Any

from prefect.events import emit_event

_log = logging.getLogger(__name__)


def emit(name: str, *, job_id: str, type: str, payload: dict[str, Any]) -> None:  # noqa: A002  the field's own word
    """Emit `holdfast.<name>` about a job of this type of backup."""
    try:
        emit_event(
            event=f"holdfast.{name}",
            resource={"prefect.resource.id": f"holdfast.{type}", "prefect.resource.name": type},
            related=[{"prefect.resource.id": f"holdfast.job.{job_id}", "prefect.resource.role": "job"}],
            payload={key: value for key, value in payload.items() if value is not None},
        )
    except Exception as error:  # noqa: BLE001  whatever Prefect's client raises
        _log.warning("the event holdfast.%s could not be emitted: %s", name, error)
