"""The executions that are known, for whoever only looks: in the catalog where that runs, and in this home. Nothing is started.

Of two records of one execution the newer counts. Prefect is not imported.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError, NotFoundError
from holdfast.opening import open_running_catalog
from holdfast.recovery.execution import Execution, Status
from holdfast.recovery.journal import Journal
from orchestration.recovery.record import newest

if TYPE_CHECKING:
    from holdfast.settings import Settings

Place = tuple[datetime, str]
"""Where a page ended: when its last execution started, and its id."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which executions; None for all."""

    plan_id: str | None = None
    status: Status | None = None
    since: datetime | None = None
    limit: int = 50
    before: Place | None = None

    def has(self, one: Execution) -> bool:
        """Tell whether an execution is one of them."""
        return (
            self.plan_id in (None, one.plan_id)
            and self.status in (None, one.status)
            and (self.since is None or one.started_at >= self.since)
            and (self.before is None or place_of(one) < self.before)
        )


@dataclass(frozen=True, slots=True)
class Page:
    """Executions, the newest first; `note` says why the catalog's are not among them. `more`: whether there are older ones."""

    executions: list[Execution]
    note: str | None = None
    more: bool = False


def place_of(execution: Execution) -> Place:
    """Tell where an execution stands among the others."""
    return execution.started_at, execution.id


def known_executions(settings: Settings, wanted: Wanted) -> Page:
    """List executions, the newest first."""
    there, note = _in_catalog(settings, wanted)
    found = {one.id: one for one in there}
    for one in Journal(settings.home).all():
        found[one.id] = newest(one, found.get(one.id)) or one
    asked_for = sorted((one for one in found.values() if wanted.has(one)), key=place_of, reverse=True)
    return Page(asked_for[: wanted.limit], note, len(asked_for) > wanted.limit)


def known_execution(settings: Settings, execution_id: str) -> Execution:
    """Find an execution. Raises NotFoundError, and DatabaseUnreachableError where only the catalog could tell."""
    here = Journal(settings.home).read(execution_id)
    try:
        with closing(open_running_catalog(settings)) as catalog:
            found = newest(here, catalog.executions.find(execution_id))
    except HoldfastError:
        if here is None:
            raise
        found = here
    if found is None:
        raise NotFoundError(f"there is no execution {execution_id}", next_step="'holdfast recover --list' shows them")
    return found


def _in_catalog(settings: Settings, wanted: Wanted) -> tuple[list[Execution], str | None]:
    """Ask for one more than is wanted, which tells whether there are more."""
    before = wanted.before and Execution(wanted.before[1], "", "", "", wanted.before[0].astimezone(UTC))
    try:
        with closing(open_running_catalog(settings)) as catalog:
            rows = catalog.executions.list(wanted.plan_id, wanted.status, wanted.since, wanted.limit + 1, before)
    except HoldfastError as error:
        return [], f"The catalog can't be asked for executions ({error.what_and_why}); these are the ones that this home knows of"
    return rows, None
