"""An event that tells what has happened: the recovery plans that listen to it start, and the answer names their runs."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from api.action import Action, Asked, Body, Json
from holdfast.errors import PrefectUnreachableError
from orchestration.server import use_running_prefect


class EventRequest(Body):
    """What has happened, and what a plan may know of it."""

    event: str = Field(min_length=1, max_length=200, description="One of the guide's, or a trigger of a plan of yours")
    payload: dict[str, Any] = Field(default_factory=dict, description="Facts for the plans; what looks like a secret is masked")


def _emit(asked: Asked[EventRequest]) -> Json:
    settings = asked.parts.settings
    if use_running_prefect(settings) is None:
        raise PrefectUnreachableError(
            "no Prefect server answers, so that no plan can hear of the event", next_step="Start one with 'holdfast serve'"
        )
    from orchestration.recovery.emitting import emit_event

    return emit_event(asked.said.event, asked.said.payload, settings).document()


EMIT = Action("emit-event", "POST", "restore", EventRequest, _emit, status=202, audited="event.emit", once=True)
