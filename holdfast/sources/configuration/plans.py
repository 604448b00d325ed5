"""The recovery plans as a part of the configuration: read from the catalog, put back into it, and that undone.

When a plan was tested is no configuration: it is not kept, and a plan that comes back stays tested where its steps are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from holdfast.recovery.plan import read_plan
from holdfast.settings import load_settings

if TYPE_CHECKING:
    from holdfast.catalog import Catalog

Json = dict[str, Any]


def plans_document(catalog: Catalog) -> Json:
    """Describe all plans by their ids."""
    return {one.id: {**one.document, "lastTested": None} for one in catalog.plans.kept()}


def documents_of(catalog: Catalog, plan_ids: Iterable[str]) -> Json:
    """Describe these plans as they are, with their last tests; None for one that is not there."""
    there = {one.id: one.document for one in catalog.plans.kept()}
    return {plan_id: there.get(plan_id) for plan_id in plan_ids}


def put_plans(catalog: Catalog, documents: Json) -> None:
    """Keep all of these plans, in the place of those that had their ids. Raises PlanInvalidError, with nothing changed."""
    former = {one.id: one for one in catalog.plans.kept()}
    plans = []
    for plan in map(read_plan, documents.values()):
        one = former.get(plan.id)
        tested = one.last_tested if one is not None and one.has_steps_of(plan) else None
        plans.append(plan.model_copy(update={"last_tested": tested}))
    catalog.plans.add(plans, replace=True)


def put_back(catalog: Catalog | None, former: Json) -> None:
    """Write plans as they were, and remove those that were not there; in this catalog, else in the one that the settings name."""
    with _opened(catalog) as opened:
        opened.plans.write_back([document for document in former.values() if document is not None])
        for plan_id in (plan_id for plan_id, document in former.items() if document is None):
            opened.plans.remove(plan_id)


@contextmanager
def _opened(catalog: Catalog | None) -> Iterator[Catalog]:
    if catalog is not None:
        yield catalog
        return
    from holdfast.opening import open_catalog

    with open_catalog(load_settings()) as opened:
        yield opened
