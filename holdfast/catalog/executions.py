"""The rows of executions: all that a resumed execution goes by, in the guide's own columns and in `metadata`.

What was written by others, in a form of their own, can be listed all the same, without its steps.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import sql
from holdfast.catalog.database import Database
from holdfast.catalog.plans import Plans
from holdfast.catalog.records import from_row, to_json, to_text
from holdfast.recovery.execution import Execution, StepRecord
from holdfast.recovery.plan import Plan

Json = dict[str, Any]

_IN_METADATA = ("mode", "facts", "plan", "forced", "approvedBy", "waitingFor")
_LONGEST_MS = 2**31 - 1
_log = logging.getLogger(__name__)


class Executions:
    """The executions of a catalog. Every method raises DatabaseUnreachableError where that does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asked = sql.queries("executions")

    def open(self, execution: Execution) -> bool:
        """Make the row, or let one run again that had ended; the plan's row is made first where it is missing."""
        if execution.plan:
            Plans(self._database).ensure(Plan.model_validate(execution.plan))
        return self._changed("opening an execution", "open", execution)

    def note(self, execution: Execution) -> bool:
        """Write how far it is; return False where it has ended or is not there."""
        return self._changed("noting an execution", "note", execution)

    def close(self, execution: Execution) -> bool:
        """End it; return False, with nothing changed, where it has ended already or is not there."""
        if execution.completed_at is None:
            raise ValueError(f"the execution {execution.id} has not ended")
        return self._changed("closing an execution", "close", execution)

    def find(self, execution_id: str) -> Execution | None:
        """Find an execution."""
        return next(iter(self._found("looking up an execution", "get", execution_id=execution_id)), None)

    def of_flow_run(self, flow_run_id: str) -> Execution | None:
        """Find the newest execution of a flow run."""
        return next(iter(self._found("looking up an execution", "of_flow_run", flow_run_id=flow_run_id)), None)

    def open_work(self) -> list[Execution]:
        """List executions that have not ended, oldest first."""
        return self._found("listing open executions", "open_work")

    def _found(self, doing: str, query: str, **parameters: Any) -> list[Execution]:
        rows = self._database.rows(doing, self._asked[query], **parameters)
        return [_of_row(from_row(row._asdict())) for row in rows]

    def _changed(self, doing: str, query: str, execution: Execution) -> bool:
        return bool(self._database.rows(doing, self._asked[query], **_values(execution)))

    def list(
        self,
        plan_id: str | None = None,
        status: str | None = None,
        since: datetime | None = None,
        limit: int = 100,
        before: Execution | tuple[datetime, str] | None = None,
    ) -> list[Execution]:
        """List executions, the newest first. For the next page give `before` the last one of this one, or its time and id."""
        before_at, before_id = (before.started_at, before.id) if isinstance(before, Execution) else before or (None, "")
        page = {"before_at": before_at, "before_id": before_id}
        filters = {"plan_id": plan_id, "status": status, "since": since, "limit": limit}
        return self._found("listing executions", "list", **filters, **page)


def _values(execution: Execution) -> Json:
    document = execution.document()
    duration_ms = execution.duration_ms
    return {
        "execution_id": execution.id,
        "plan_id": execution.plan_id,
        "trigger": to_text(execution.trigger),
        "status": execution.status,
        "started_at": execution.started_at,
        "completed_at": execution.completed_at,
        "duration_ms": None if duration_ms is None else max(0, min(duration_ms, _LONGEST_MS)),
        "error_message": to_text(execution.error),
        "steps": to_json(document["steps"]),
        "metadata": to_json({**execution.metadata, **{name: document[name] for name in _IN_METADATA}}),
    }


def _of_row(row: Json) -> Execution:
    metadata = dict(row["metadata"])
    known = {name: metadata.pop(name, None) for name in _IN_METADATA}
    return Execution(
        id=row["execution_id"],
        plan_id=row["plan_id"],
        trigger=row["trigger"],
        mode=known["mode"] or "run",
        started_at=row["started_at"] or datetime.fromtimestamp(0, UTC),
        status=row["status"],
        completed_at=row["completed_at"],
        steps=_steps(row["execution_id"], row["steps_executed"]),
        error=row["error_message"],
        facts=known["facts"] or {},
        plan=known["plan"] or {},
        forced=bool(known["forced"]),
        approved_by=known["approvedBy"],
        waiting_for=known["waitingFor"],
        metadata=metadata,
    )


def _steps(execution_id: str, documents: Any) -> tuple[StepRecord, ...]:
    try:
        return tuple(StepRecord.of(one) for one in documents or ())
    except (KeyError, TypeError, ValueError) as error:
        _log.debug("the steps of %s are written in another form: %s", execution_id, error)
        return ()
