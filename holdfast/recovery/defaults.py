"""The guide's four default plans, read from the file beside this one, as a person's own would be.

Making them never undoes what a person did: a plan that was changed is not written over, one that was removed is not made again.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.recovery.plan import Plan
from holdfast.recovery.plan_file import read_plans

if TYPE_CHECKING:
    from holdfast.catalog.plans import DefaultState, Plans

_FILE = Path(__file__).with_name("defaults.yaml")


@cache
def default_plans() -> dict[str, Plan]:
    """Return the default plans by their ids."""
    return {plan.id: plan for plan in read_plans(_FILE.read_text(encoding="utf-8"), _FILE.name)}


def make_defaults(plans: Plans) -> dict[str, DefaultState]:
    """Make the default plans that are not there, renew those that nobody changed; tell of each what became of it."""
    return {plan.id: plans.make_default(plan) for plan in default_plans().values()}
