"""What is deployed follows what somebody has changed, at once where a Prefect server answers.

Nothing is started for it: where none answers, the next `serve`, `deploy` or look of the health monitor does it. What was changed
stays changed whatever Prefect says, so that is told and not raised.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError
from orchestration.server import use_running_prefect

if TYPE_CHECKING:
    from holdfast.settings import Settings

_one_at_a_time = threading.Lock()
"""Two threads that looked at the same moment would both make what is missing."""


@dataclass(frozen=True, slots=True)
class Followed:
    """What changed on the Prefect server, in words; None where that has to wait. `problem`: why it could not be done now."""

    changes: list[str] | None
    problem: str | None = None


def follow_plans(settings: Settings) -> Followed:
    """Have the deployments and triggers of recovery plans be as the catalog's plans are."""
    if use_running_prefect(settings) is None:
        return Followed(None)
    from orchestration.recovery.deployments import apply_plans

    return _followed(apply_plans, settings)


def follow_configuration(settings: Settings) -> Followed:
    """Have the live schedules be as the stored configuration says."""
    if use_running_prefect(settings) is None:
        return Followed(None)
    from orchestration.schedules import reschedule

    return _followed(reschedule, settings)


def _followed(follow: Callable[[Settings], list[str]], settings: Settings) -> Followed:
    with _one_at_a_time:
        try:
            return Followed(follow(settings))
        except HoldfastError as error:
            return Followed([], error.what_and_why)
