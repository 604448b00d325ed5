"""Every action of the guide, by its name there."""

from __future__ import annotations

from typing import Any

from api.action import Action
from api.handlers import backups, configuration, executions, init, jobs, maintenance, plans, restores, status, testing

_ALL: tuple[Action[Any], ...] = (
    status.STATUS,
    testing.TEST,
    init.INIT,
    *backups.BY_TYPE,
    restores.RESTORE,
    maintenance.CLEAN_UP,
    jobs.GUIDE_JOBS,
    jobs.JOB,
    configuration.UPDATE,
    plans.PLANS,
    plans.ADD,
    plans.REMOVE,
    executions.RECOVER,
)
ACTIONS: dict[str, Action[Any]] = {action.name: action for action in _ALL}
