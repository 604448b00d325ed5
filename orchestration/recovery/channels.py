"""The channels that a plan tells people by: a plan that comes from outside names only such as there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from holdfast.errors import PlanNotAllowedError
from holdfast.recovery.steps import type_of
from holdfast.recovery.steps.notification import Notification
from orchestration.server import use_running_prefect

if TYPE_CHECKING:
    from holdfast.recovery.plan import Plan
    from holdfast.settings import Settings


def require_channels(plan: Plan, settings: Settings) -> None:
    """Raise PlanNotAllowedError where it names a channel that has no block; nothing is looked up where no Prefect server answers.

    A channel that is deleted later is told of when its step runs. Raises PrefectUnreachableError.
    """
    wanted = dict(_named(plan))
    if not wanted or use_running_prefect(settings) is None:
        return
    from blocks.channels import find_channels, why_not

    found = find_channels(settings, {name for names in wanted.values() for name in names})
    missing = {where: [name for name in names if name not in found] for where, names in wanted.items()}
    problems = {where: "; ".join(why_not(name, settings) for name in names) for where, names in missing.items() if names}
    if problems:
        error = PlanNotAllowedError(
            f"The recovery plan {plan.id} may not come from outside",
            reason="\n".join(f"{where}: {why}" for where, why in problems.items()),
            next_step="Name channels that are set up, or none, for all of BACKUP_NOTIFICATION_CHANNELS",
        )
        error.fields = problems
        raise error


def _named(plan: Plan) -> Iterator[tuple[str, tuple[str, ...]]]:
    for step in plan.steps:
        kind = type_of(step)
        if isinstance(kind, Notification) and (names := kind.read(step).channels):
            yield f"steps.{step.id}.parameters.channels", names
