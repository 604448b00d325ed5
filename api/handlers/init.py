"""What `holdfast init` does, with the guide's configuration. A key is never made, and doing it again changes nothing.

No Idempotency-Key is kept for it: that would take the catalog, which it makes.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from api.action import Action, Asked, Body, Json
from orchestration.initializing import initialize_from_outside


class InitRequest(Body):
    """The configuration to keep; what it does not name stays as it is."""

    config: dict[str, Any] = Field(default_factory=dict)


def _init(asked: Asked[InitRequest]) -> Json:
    done = initialize_from_outside(asked.parts.settings, asked.said.config)
    asked.parts.forget_settings()
    return done


INIT = Action("init", "POST", "admin", InitRequest, _init, audited="installation.init")
