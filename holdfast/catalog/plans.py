"""The recovery plans that the catalog keeps: a row of the guide's each, and beside it what the guide has no column for.

What a person did is never undone: a default plan that was changed is not written over, one that was removed is not made again.
A plan that was executed keeps its row when it is removed, for its executions refer to it; it is in no list any more.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import text

import sql
from holdfast.catalog.records import from_row, to_json, to_text
from holdfast.errors import PlanInvalidError, RefusedError
from holdfast.recovery.plan import Plan, read_plan
from holdfast.recovery.untested import PlanTest
from holdfast.repository import canonical

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from holdfast.catalog.database import Database

Json = dict[str, Any]
DefaultState = Literal["made", "renewed", "as it was", "changed by a person", "removed by a person"]

_COLUMNS = ("id", "name", "description", "priority", "triggers", "steps", "estimatedRecoveryTime", "lastTested", "enabled")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeptPlan:
    """A plan as its row has it, in JSON's words. A row that somebody wrote by hand may hold what is no plan."""

    document: Json
    default_digest: str | None = None
    """The digest of the default plan that was made, or None for a person's own."""
    changed_at: datetime | None = None

    @property
    def id(self) -> str:
        return str(self.document["id"])

    @property
    def digest(self) -> str:
        """The digest of what is kept, whether this Holdfast can read it or not; of a plan as it was put, the plan's own."""
        return canonical.checksum(self.document | {"lastTested": None})

    @property
    def last_tested(self) -> datetime | None:
        """When it was tested last."""
        tested: str | None = self.document["lastTested"]
        return None if tested is None else canonical.time_from(tested)

    def has_steps_of(self, plan: Plan) -> bool:
        """Tell whether both do the same, so that a test of one is a test of the other."""
        return bool(self.document["steps"] == plan.document()["steps"])

    def plan(self) -> Plan:
        """Read it. Raises PlanInvalidError."""
        return read_plan(self.document)


class Plans:
    """The recovery plans of a catalog. Every method raises DatabaseUnreachableError where that does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = sql.queries("plans")

    def kept(self, priority: str | None = None, enabled: bool | None = None) -> list[KeptPlan]:
        """Return all plans as they are kept, the most urgent first, whether they can be read or not."""
        rows = self._database.rows("listing plans", self._queries["list"], priority=priority, enabled=enabled)
        return [_kept(row._asdict()) for row in rows]

    def list(self, priority: str | None = None, enabled: bool | None = None) -> list[Plan]:
        """Return the plans, the most urgent first; one that can't be read is left out, and logged."""
        return readable(self.kept(priority, enabled))[0]

    def find(self, plan_id: str) -> Plan | None:
        """Find a plan. Raises PlanInvalidError where its row holds none that can be carried out."""
        with self._database.transaction("looking up a plan") as connection:
            found = self._found(connection, plan_id)
        return None if found is None else found.plan()

    def tests(self, allowed_days: float) -> tuple[PlanTest, ...]:
        """Tell of each plan when it was tested last, as it may be so many days ago."""
        rows = self._database.rows("looking for tests of plans", self._queries["tests"])
        return tuple(PlanTest.of(from_row(row._asdict()), days=allowed_days) for row in rows)

    def removed(self) -> frozenset[str]:
        """Name the plans that a person removed."""
        rows = self._database.rows("listing removed plans", self._queries["removed"])
        return frozenset(row.plan_id for row in rows)

    def is_untouched(self) -> bool:
        """Tell whether no plan was ever made or removed here: the catalog is new, or it was lost and made again."""
        return bool(self._database.rows("looking for plans", self._queries["untouched"])[0].untouched)

    def put(self, plan: Plan) -> None:
        """Keep a plan, in the place of the one that had its id."""
        self.write_back([plan.document()])

    def write_back(self, documents: Iterable[Json]) -> None:
        """Write plans as documents of `kept` had them, whether they can be read or not."""
        with self._database.transaction("keeping plans") as connection:
            self._run(connection, "one_at_a_time")
            for document in documents:
                self._put(connection, document)

    def add(self, plans: Iterable[Plan], *, replace: bool = False) -> dict[str, bool]:
        """Keep all of these plans or none; tell of each id whether it replaced one. Raises RefusedError where it may not."""
        wanted = list(plans)
        with self._database.transaction("adding plans") as connection:
            self._run(connection, "one_at_a_time")
            replaced = {plan.id: self._found(connection, plan.id) is not None for plan in wanted}
            if any(replaced.values()) and not replace:
                raise _already(sorted(plan_id for plan_id, is_there in replaced.items() if is_there))
            for plan in wanted:
                self._put(connection, plan.document())
        return replaced

    def ensure(self, plan: Plan) -> bool:
        """Make a plan's row where it has none, for an execution to refer to; return False, with nothing changed, where it has.

        One that a person removed stays removed.
        """
        with self._database.transaction("making a plan's row") as connection:
            made = self._run(connection, "make", **_row(plan.document()))
            if made and not self._run(connection, "was_removed", plan_id=plan.id):
                self._put_options(connection, plan.document())
        return bool(made)

    def make_default(self, plan: Plan) -> DefaultState:
        """Make a default plan, or renew the one that nobody changed since it was made; tell what became of it."""
        with self._database.transaction("making a default plan") as connection:
            self._run(connection, "lock", plan_id=plan.id)
            found = self._found(connection, plan.id)
            if found is not None:
                return self._renew(connection, found, plan)
            if self._run(connection, "was_removed", plan_id=plan.id):
                return "removed by a person"
            if not self._run(connection, "make", **_row(plan.document())):
                return "as it was"  # another process made it just now
            self._put_options(connection, plan.document(), plan.digest)
        return "made"

    def remove(self, plan_id: str) -> bool:
        """Remove a plan for good; return False where there is none. Its executions stay, and its row for their sake."""
        with self._database.transaction("removing a plan") as connection:
            self._run(connection, "lock", plan_id=plan_id)
            if self._found(connection, plan_id) is None:
                return False
            self._run(connection, "delete", plan_id=plan_id)
            self._run(connection, "retire", plan_id=plan_id)
            self._run(connection, "note_removed", plan_id=plan_id)
        return True

    def enable(self, plan_id: str, enabled: bool = True) -> bool:
        """Switch a plan on or off; return False where there is none."""
        return bool(self._database.rows("switching a plan", self._queries["enable"], plan_id=plan_id, enabled=enabled))

    def note_tested(self, plan_id: str, at: datetime) -> bool:
        """Note that a plan was tested; return False where there is none."""
        return bool(self._database.rows("noting a plan's test", self._queries["note_tested"], plan_id=plan_id, at=at))

    def bring_back(self, kept: Sequence[KeptPlan], removed: Iterable[str]) -> None:
        """Fill a catalog that was lost with what another record has of its plans; what is there by now stays."""
        plans, _ = readable(kept)
        with self._database.transaction("bringing plans back") as connection:
            self._run(connection, "one_at_a_time")
            for plan_id in removed:
                self._run(connection, "note_removed", plan_id=plan_id)
            digests = {one.id: one.default_digest for one in kept}
            for plan in plans:
                if self._run(connection, "make", **_row(plan.document())):
                    self._put_options(connection, plan.document(), digests[plan.id])

    def _renew(self, connection: Connection, found: KeptPlan, plan: Plan) -> DefaultState:
        as_it_was = plan.model_copy(update={"last_tested": found.last_tested})
        if _says_the_same(found, plan):
            if (found.digest, found.default_digest) != (plan.digest, plan.digest):
                self._put(connection, as_it_was.document(), plan.digest)
            return "as it was"
        if found.digest != found.default_digest:
            return "changed by a person"
        self._put(connection, (as_it_was if found.has_steps_of(plan) else plan).document(), plan.digest)
        return "renewed"

    def _found(self, connection: Connection, plan_id: str) -> KeptPlan | None:
        return next((_kept(row) for row in self._run(connection, "find", plan_id=plan_id)), None)

    def _put(self, connection: Connection, document: Json, default_digest: str | None = None) -> None:
        self._run(connection, "put", **_row(document))
        self._put_options(connection, document, default_digest)

    def _put_options(self, connection: Connection, document: Json, default_digest: str | None = None) -> None:
        options = {name: value for name, value in document.items() if name not in _COLUMNS}
        values = {"plan_id": document["id"], "options": to_json(options), "default_digest": default_digest}
        self._run(connection, "put_options", **values)

    def _run(self, connection: Connection, query: str, **parameters: Any) -> Any:
        result = connection.execute(text(self._queries[query]), parameters)
        return [row._asdict() for row in result] if result.returns_rows else []


def readable(kept: Iterable[KeptPlan]) -> tuple[list[Plan], list[PlanInvalidError]]:
    """Read plans; return those that can be read, and what is wrong with the others, which is logged, too."""
    plans: list[Plan] = []
    errors: list[PlanInvalidError] = []
    for one in kept:
        try:
            plans.append(one.plan())
        except PlanInvalidError as error:
            _log.warning("%s", error.what_and_why)
            errors.append(error)
    return plans, errors


def _says_the_same(kept: KeptPlan, plan: Plan) -> bool:
    """Whether a row says what the plan says, also where somebody else wrote it with less words."""
    try:
        return kept.plan().digest == plan.digest
    except PlanInvalidError:
        return False


def _row(document: Json) -> Json:
    return {
        "plan_id": document["id"],
        "name": to_text(document["name"]),
        "description": to_text(document["description"]),
        "priority": document["priority"],
        "triggers": to_json(document["triggers"]),
        "steps": to_json(document["steps"]),
        "estimated_recovery_time": document["estimatedRecoveryTime"],
        "last_tested": document["lastTested"],
        "enabled": document["enabled"],
    }


def _kept(row: Mapping[str, Any]) -> KeptPlan:
    values = from_row(dict(row))
    document = {
        "id": values["plan_id"],
        "name": values["name"],
        "description": values["description"] or "",
        "priority": values["priority"],
        "triggers": values["triggers"] or [],
        "steps": values["steps"],
        "estimatedRecoveryTime": values["estimated_recovery_time"],
        "lastTested": values["last_tested"] and canonical.time_text(values["last_tested"]),
        "enabled": values["enabled"] is not False,
    }
    return KeptPlan(document | (values["options"] or {}), values["default_digest"], values["updated_at"])


def _already(ids: list[str]) -> RefusedError:
    several = len(ids) > 1
    return RefusedError(
        f"The recovery plan{'s' if several else ''} {', '.join(ids)} {'are' if several else 'is'} there already",
        reason="what is there would be lost",
        next_step="Nothing was changed. Give another id, or --replace to change what is there",
    )
