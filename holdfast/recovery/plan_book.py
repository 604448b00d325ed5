"""The recovery plans of a home, there to be found when the catalog is gone, for that is when they are needed.

First the catalog; else the copy that this home wrote when it last read or changed plans; else the built-in defaults. A catalog
that never had a plan is new, or was lost and made again: it gets what the copy has, then the defaults. What can't be asked of the
catalog is said, never hidden; and plans are changed in the catalog, or not at all.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from holdfast.catalog.plans import KeptPlan, readable
from holdfast.errors import HoldfastError, NotFoundError, PlanInvalidError
from holdfast.recovery.defaults import default_plans, make_defaults
from holdfast.recovery.plan import Plan
from holdfast.recovery.plan_copy import PlanCopy
from holdfast.recovery.untested import PlanTest

if TYPE_CHECKING:
    from holdfast.catalog import Catalog
    from holdfast.catalog.plans import DefaultState, Plans
    from holdfast.settings import Settings

Json = dict[str, Any]
Origin = Literal["catalog", "copy", "default"]
"""`copy`: what this home last wrote down. `default`: what Holdfast brings with it."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FoundPlan:
    """A plan, and where it came from; the note says why from there, and is None where the catalog had it."""

    plan: Plan
    origin: Origin = "catalog"
    note: str | None = None


@dataclass(frozen=True, slots=True)
class PlanList:
    """All plans, the most urgent first, and where they came from; `changed_at` tells when each was changed last, if known."""

    plans: list[Plan]
    origin: Origin = "catalog"
    note: str | None = None
    unreadable: list[PlanInvalidError] = field(default_factory=list)
    changed_at: dict[str, datetime] = field(default_factory=dict)

    def untested(self, allowed_days: float, now: datetime) -> frozenset[str]:
        """Name the plans that nobody has drilled for longer than is allowed."""
        return frozenset(plan.id for plan in self.plans if self._test(plan, allowed_days, now).is_untested(now))

    def _test(self, plan: Plan, allowed_days: float, now: datetime) -> PlanTest:
        changed_at = self.changed_at.get(plan.id, now)
        return PlanTest(plan.id, plan.name, plan.enabled, plan.last_tested, changed_at, timedelta(days=allowed_days))


class PlanBook:
    """The plans of the home that the settings name."""

    def __init__(self, settings: Settings, open_catalog: Callable[[], Catalog] | None = None) -> None:
        self._open = open_catalog or (lambda: _open(settings))
        self._copy = PlanCopy(settings.home / "recovery" / "plans.json")

    def find(self, plan_id: str) -> FoundPlan:
        """Find a plan, whatever is gone. Raises NotFoundError, and PlanInvalidError for one that can't be carried out."""
        kept, origin, note = self._kept()
        found = next((one for one in kept if one.id == plan_id), None)
        if found is not None:
            return FoundPlan(found.plan(), origin, note)
        if origin != "catalog" and plan_id in default_plans():
            return FoundPlan(default_plans()[plan_id], "default", f"{note}; it is the default plan that Holdfast brings with it")
        raise no_plan(plan_id, note)

    def all(self) -> PlanList:
        """Return all plans, whatever is gone."""
        kept, origin, note = self._kept()
        plans, unreadable = readable(kept)
        return PlanList(plans, origin, note, unreadable, {one.id: one.changed_at for one in kept if one.changed_at is not None})

    def make_defaults(self) -> dict[str, DefaultState]:
        """Make the default plans that are missing, renew those that nobody changed; tell of each what became of it."""
        with closing(self._open()) as catalog:
            plans = catalog.plans
            states = self._fill(plans) or make_defaults(plans)
            self._write(plans)
        return states

    def add(self, plans: Iterable[Plan], *, replace: bool = False) -> dict[str, bool]:
        """Keep all of these plans or none; tell of each id whether it replaced one.

        A plan that replaces another keeps its last test only where its steps are the same. Raises RefusedError where one is there
        and may not be replaced.
        """
        with self._changing() as book:
            former = {one.id: one for one in book.kept()}
            return book.add([_tested(plan, former.get(plan.id)) for plan in plans], replace=replace)

    def put(self, plan: Plan) -> None:
        """Keep a plan as it is, in the place of the one that had its id."""
        with self._changing() as plans:
            plans.put(plan)

    def remove(self, plan_id: str) -> None:
        """Remove a plan; its executions stay. Raises NotFoundError."""
        with self._changing() as plans:
            if not plans.remove(plan_id):
                raise no_plan(plan_id)

    def enable(self, plan_id: str, enabled: bool = True) -> None:
        """Switch a plan on or off. Raises NotFoundError."""
        with self._changing() as plans:
            if not plans.enable(plan_id, enabled):
                raise no_plan(plan_id)

    def note_tested(self, plan_id: str, at: datetime) -> None:
        """Note that a plan was tested. Raises NotFoundError."""
        with self._changing() as plans:
            if not plans.note_tested(plan_id, at):
                raise no_plan(plan_id)

    @contextmanager
    def _changing(self) -> Iterator[Plans]:
        """Open the plans of the catalog to change them; the copy follows."""
        with closing(self._open()) as catalog:
            plans = catalog.plans
            self._fill(plans)
            yield plans
            self._write(plans)

    def _kept(self) -> tuple[list[KeptPlan], Origin, str | None]:
        try:
            with closing(self._open()) as catalog:
                self._fill(catalog.plans)
                return self._write(catalog.plans), "catalog", None
        except HoldfastError as error:
            return self._without_catalog(error)

    def _without_catalog(self, error: HoldfastError) -> tuple[list[KeptPlan], Origin, str | None]:
        why = f"The catalog can't be asked for plans ({error.what_and_why})"
        found = self._copy.read()
        if found is not None:
            return found.plans, "copy", f"{why}; this home wrote down what it had at {found.written_at:%Y-%m-%d %H:%M} UTC"
        kept = [KeptPlan(plan.document()) for plan in default_plans().values()]
        return kept, "default", f"{why}, and this home has written down none"

    def _fill(self, plans: Plans) -> dict[str, DefaultState]:
        """Give plans to a catalog that never had any; tell what became of the defaults, of one that had some nothing."""
        if not plans.is_untouched():
            return {}
        found = self._copy.read()
        if found is not None:
            _log.warning("The catalog has no recovery plans; those that this home wrote down are put back")
            plans.bring_back(found.plans, found.removed)
        return make_defaults(plans)

    def _write(self, plans: Plans) -> list[KeptPlan]:
        kept = plans.kept()
        self._copy.write(kept, plans.removed())
        return kept


def no_plan(plan_id: str, note: str | None = None) -> NotFoundError:
    """Make the error for a plan that is not there."""
    return NotFoundError(
        f"There is no recovery plan {plan_id!r}", reason=note, next_step="'holdfast plans list' shows what there is"
    )


def _tested(plan: Plan, former: KeptPlan | None) -> Plan:
    if former is None:
        return plan
    if former.has_steps_of(plan):
        return plan.model_copy(update={"last_tested": plan.last_tested or former.last_tested})
    return plan.model_copy(update={"last_tested": None}) if plan.last_tested == former.last_tested else plan


def _open(settings: Settings) -> Catalog:
    from holdfast.opening import open_catalog

    return open_catalog(settings)
