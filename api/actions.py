"""Every action of the guide, by its name there."""

from __future__ import annotations

from typing import Any

from api.action import Action
from api.handlers import configuration, executions, init, plans, status, testing

ACTIONS: dict[str, Action[Any]] = {
    action.name: action
    for action in (
        status.STATUS,
        testing.TEST,
        init.INIT,
        configuration.UPDATE,
        plans.PLANS,
        plans.ADD,
        plans.REMOVE,
        executions.RECOVER,
    )
}
