"""The configuration in force: shown without secrets, and changed as far as whoever is outside may. Live schedules follow."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from pydantic import Field

from api.action import Action, Asked, Body, Json, Nothing
from holdfast.configuration import effective_configuration, update_from_outside
from holdfast.opening import open_running_catalog
from orchestration.following import follow_configuration


class Updates(Body):
    """Settings by the guide's names; null goes back to the default."""

    updates: dict[str, Any] = Field(min_length=1)


def _configuration(asked: Asked[Nothing]) -> Json:
    with closing(open_running_catalog(asked.parts.settings)) as catalog:
        return {"configuration": effective_configuration(catalog)}


def _update(asked: Asked[Updates]) -> Json:
    settings = asked.parts.settings
    with closing(open_running_catalog(settings)) as catalog:
        kept = update_from_outside(asked.said.updates, catalog)
    asked.parts.forget_settings()
    followed = follow_configuration(settings)
    return {"configuration": kept, "rescheduled": followed.changes or [], "problem": followed.problem}


CONFIGURATION = Action("configuration", "GET", "read", Nothing, _configuration)
UPDATE = Action("update-config", "POST", "admin", Updates, _update, audited="configuration.update", once=True)
