"""Every action of the guide, by its name there."""

from __future__ import annotations

from typing import Any

from api.action import Action
from api.handlers import plans, status, testing

ACTIONS: dict[str, Action[Any]] = {action.name: action for action in (plans.PLANS, status.STATUS, testing.TEST)}
