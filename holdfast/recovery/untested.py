"""Which recovery plans nobody has tried for too long: one that is never drilled is a hope, and no plan.

A plan that is off is nobody's worry. One that was never drilled counts from when it was made, or changed last.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from holdfast import figures
from holdfast.alarms import Alarm, Judgement

if TYPE_CHECKING:
    from holdfast.overview import Overview

PREFIX = "untested-"
"""How the key of these alarms begins; what stands for the plan's id follows."""

_ROOM = timedelta(days=1)
"""How much later than allowed it becomes an alarm: the drill that is due at that very hour may take its time."""
_NEXT_TURN = timedelta(days=29)
"""How long it may be until drills come by again: what would be too late then is due now."""


@dataclass(frozen=True, slots=True)
class PlanTest:
    """When a plan was drilled last with success, and how long ago that may be."""

    plan_id: str
    name: str
    enabled: bool
    last_tested: datetime | None
    changed_at: datetime
    """When it was made or changed last: what counts where it was never drilled."""
    allowed: timedelta

    @classmethod
    def of(cls, row: Mapping[str, Any], *, days: float) -> PlanTest:
        """Take it from a row of `disaster_recovery_plans`."""
        named = (row["plan_id"], row["name"], bool(row["enabled"]))
        return cls(*named, row["last_tested"], row["updated_at"], timedelta(days=days))

    def age(self, now: datetime) -> timedelta:
        """Tell for how long nobody has tried it."""
        return now - (self.last_tested or self.changed_at)

    def is_untested(self, now: datetime) -> bool:
        """Tell whether it is on, and was not drilled for longer than is allowed."""
        return self.enabled and self.age(now) > self.allowed

    def is_due(self, now: datetime) -> bool:
        """Tell whether it is to be drilled now, so that it never becomes untested."""
        return self.enabled and (self.last_tested is None or self.age(now) + _NEXT_TURN > self.allowed)


def judge_tests(overview: Overview, opened: Iterable[str] = ()) -> Judgement:
    """Judge of each plan whether it was drilled in time. `opened` are open alarms: those of plans that are gone end with them."""
    if not overview.recorded:
        return {}
    gone: Judgement = {key: None for key in opened if key.startswith(PREFIX)}
    now = overview.at
    return gone | {_key(plan.plan_id): _alarm(plan) if _is_alarming(plan, now) else None for plan in overview.plans}


def _key(plan_id: str) -> str:
    """Name the alarm of a plan by what the name of a Prefect variable can hold, and for no two plans the same."""
    spelled = re.sub(r"[^a-z0-9]+", "-", plan_id.lower())
    if plan_id == spelled.replace("-", "_"):
        return PREFIX + spelled
    return f"{PREFIX}{spelled}-{hashlib.sha256(plan_id.encode()).hexdigest()[:8]}"


def _is_alarming(plan: PlanTest, now: datetime) -> bool:
    return plan.enabled and plan.age(now) > plan.allowed + _ROOM


def _alarm(plan: PlanTest) -> Alarm:
    tried = "has never been drilled" if plan.last_tested is None else "was not drilled for longer than that"
    return Alarm(
        _key(plan.plan_id),
        f"The recovery plan {plan.name} is untested",
        f"A plan is to be drilled every {figures.span(plan.allowed)}, and this one {tried}: nobody knows whether it works",
        f"Run: holdfast drill --plan {plan.plan_id}. It changes nothing that is live",
        since=(plan.last_tested or plan.changed_at) + plan.allowed,
        last_good=None if plan.last_tested is None else f"drilled {figures.minute_utc(plan.last_tested)}",
    )
