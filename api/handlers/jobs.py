"""Jobs of every kind, the newest first, and each as it is now: from its row, its backup, and its run in Prefect."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import Field

from api.action import Action, Asked, Body, Json
from api.cursor import Place
from api.handlers.pages import PageWanted
from api.handlers.runs import of_prefect, with_run
from api.waiting import LONGEST_SECONDS
from holdfast import documents
from holdfast.errors import CatalogMissingError, HoldfastError, NotFoundError, PrefectUnreachableError, UnreachableError
from orchestration.kinds import RecordedKind
from orchestration.submitting import run_of_job

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.catalog import Catalog, JobRecord, MaintenanceRecord, RestoreRecord
    from holdfast.recovery.execution import Execution

Kind = Literal["all", RecordedKind]
Status = Literal["pending", "running", "completed", "failed", "cancelled", "success", "partial"]
JobId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,200}$")]
_log = logging.getLogger(__name__)


class JobsWanted(PageWanted):
    """Which jobs."""

    kind: Kind = Field("all", description="What they do")
    type: Annotated[str | None, Field(max_length=50, description="database, function, config or secrets")] = None
    status: Status | None = None


class BackupJobsWanted(JobsWanted):
    """Which jobs; the guide's are those of backups."""

    kind: Kind = "backup"


W = TypeVar("W", bound=JobsWanted)


class JobNamed(Body):
    """Which job."""

    job_id: JobId
    type: Annotated[str | None, Field(max_length=50, description="Its kind: backup, restore, …")] = None
    wait: Annotated[float, Field(ge=0, le=LONGEST_SECONDS, strict=False, description="Seconds to wait for its end")] = 0


def page_of(asked: Asked[Any], said: JobsWanted) -> tuple[list[Json], str | None]:
    """List jobs, and where the next page begins."""
    before = said.before
    with asked.parts.catalog() as catalog:
        found = _newest(catalog, said, before)
    shown, more = found[: said.limit], len(found) > said.limit
    last = shown[-1] if shown else None
    following = said.cursor_at((last["startedAt"], last["jobId"])) if more and last else None
    return shown, following


def _jobs(asked: Asked[W]) -> Json:
    shown, following = page_of(asked, asked.said)
    return {"jobs": shown, "nextCursor": following}


def _newest(catalog: Catalog, said: JobsWanted, before: Place | None) -> list[Json]:
    """List one more than wanted; of several tables the newest of all."""
    filters: Json = {"type": said.type, "status": said.status, "since": said.since, "limit": said.limit + 1}
    found: list[Json] = []
    if said.kind in ("all", "backup"):
        found += map(of_backup_row, catalog.jobs(**filters, before=before))
    if said.kind in ("all", "restore"):
        found += map(of_restore_row, catalog.restores(**filters, before=before))
    if said.kind in ("all", "recovery") and said.type in (None, "recovery"):
        filters_here = {name: value for name, value in filters.items() if name != "type"}
        found += map(of_execution, catalog.executions.list(**filters_here, before=before))
    kind = None if said.kind == "all" else said.kind
    found += map(of_maintenance_row, catalog.maintenance.list(kind, **filters, before=before))
    return sorted(found, key=_place, reverse=True)[: said.limit + 1]


def _place(job: Json) -> Place:
    return job["startedAt"] or datetime.fromtimestamp(0, UTC), job["jobId"]


def of_backup_row(row: JobRecord) -> Json:
    """Describe a backup by its row alone."""
    return {**documents.of_row(row), "status": row.status, "kind": "backup", **_asked_by(row.metadata)}


def of_restore_row(row: RestoreRecord) -> Json:
    return {**documents.of_restore_row(row), "kind": "restore", **_asked_by(row.metadata)}


def of_maintenance_row(row: MaintenanceRecord) -> Json:
    looked = {"dryRun": True} if row.kind == "restore" else {}  # the others are in a table of their own
    return {**documents.of_maintenance_row(row), **looked, "kind": row.kind, **_asked_by(row.metadata)}


def of_execution(row: Execution) -> Json:
    """Describe an execution of a plan as a job; /v1/executions has it in full."""
    known = {"executionId": row.id, "planId": row.plan_id, "mode": row.mode, "trigger": row.trigger}
    times = {"startedAt": row.started_at, "completedAt": row.completed_at, "error": row.error}
    return {"jobId": row.id, "type": "recovery", "status": row.status, **times, "kind": "recovery", **known}


def _asked_by(metadata: Json) -> Json:
    return {"askedBy": metadata.get("askedBy")}


def _job(asked: Asked[JobNamed]) -> Json:
    """Describe a job as it is now.

    Raises NotFoundError; UnreachableError and CatalogMissingError where who might know it can't be asked.
    """
    said, unasked = asked.said, list[HoldfastError]()
    found, run_id = None, None
    try:
        with asked.parts.catalog() as catalog:
            found, run_id = _in_catalog(catalog, said)
    except (UnreachableError, CatalogMissingError) as error:
        unasked.append(error)
    if found is None or ((found["kind"], found["status"]) == ("backup", "completed") and found["type"] != "all"):
        found = _in_repository(asked, said, found, unasked) or found
    if found is not None:
        return with_run(asked, found, run_id)
    return _in_prefect(asked, said.job_id, unasked)


def _in_catalog(catalog: Catalog, said: JobNamed) -> tuple[Json | None, str | None]:
    """Find a job in whichever table has it, and the run of it."""
    for document, row in _rows(catalog, said.job_id):
        if row is not None and said.type in (None, (found := document(row))["kind"], found["type"]):
            return found, row.metadata.get("flowRunId")
    return None, None


def _rows(catalog: Catalog, job_id: str) -> Iterable[tuple[Any, Any]]:
    yield of_backup_row, catalog.job(job_id)
    yield of_restore_row, catalog.restore(job_id)
    yield of_maintenance_row, catalog.maintenance.find(job_id)
    yield of_execution, catalog.executions.find(job_id)


def _in_repository(asked: Asked[JobNamed], said: JobNamed, row: Json | None, unasked: list[HoldfastError]) -> Json | None:
    """Describe a backup as the repository has it, which is the truth of it."""
    try:
        held = asked.parts.ask_repository(lambda one: documents.in_full(one, said.job_id, said.type or "database"))
    except UnreachableError as error:
        unasked.append(error)
        return row and row | {"notes": ["the repository can't be asked now: this is what the catalog has noted"]}
    except HoldfastError as error:
        _log.warning("%s can't be looked up in the repository: %s", said.job_id, error.what_and_why)
        return row and row | {"notes": [f"the repository can't be read: {error.what_and_why}"]}
    if held is None:
        return row and row | {"status": "gone"}
    return held | {"kind": "backup", "askedBy": row and row["askedBy"]}


def _in_prefect(asked: Asked[JobNamed], job_id: str, unasked: list[HoldfastError]) -> Json:
    """Describe a job that only Prefect knows yet, for the catalog does not run."""
    try:
        run = run_of_job(asked.parts.prefect(), job_id)
    except PrefectUnreachableError as error:
        raise unasked[0] if unasked else error from None
    if run is None and unasked:
        raise unasked[0]
    if run is None:
        raise NotFoundError(f"there is no job {job_id!r}", next_step="GET /v1/jobs lists them")
    return of_prefect(asked, job_id, run)


JOBS = Action("list-jobs", "GET", "read", JobsWanted, _jobs)
GUIDE_JOBS = Action("jobs", "GET", "read", BackupJobsWanted, _jobs)
JOB = Action("job", "GET", "read", JobNamed, _job)
