"""What the catalog says, in one go: rows, work that is open, executions, the configuration in force.

It is neither started nor migrated.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from holdfast import documents
from holdfast.backup_types import TYPES
from holdfast.configuration import effective_configuration
from holdfast.errors import DatabaseUnreachableError, HoldfastError, NotFoundError, UnreachableError
from holdfast.opening import catalog_if_running
from holdfast.overview import Recorded
from holdfast.settings import load_settings
from orchestration.looking import recorded_in
from orchestration.standing.part import Report, wrong

if TYPE_CHECKING:
    from holdfast.catalog import Catalog, JobRecord
    from holdfast.catalog.records import Record
    from holdfast.recovery.execution import Execution
    from holdfast.settings import Settings

CATALOG_START = "'holdfast serve' starts it, and so does a backup; while it is served, the health monitor does within minutes"
"""What to do where the embedded server of the catalog is down."""
_ROWS_OF_A_TYPE = 50


@dataclass(frozen=True, slots=True)
class CatalogSeen:
    """What the catalog has said, or why it says nothing. `settings` are those in force, as far as they are known."""

    settings: Settings
    report: Report
    rows: list[JobRecord] = field(default_factory=list)
    """The newest of each type, the newest first."""
    recorded: Recorded | None = None
    work: list[Record] = field(default_factory=list)
    executions: list[Execution] = field(default_factory=list)
    configuration: Report = field(default_factory=dict)
    error: HoldfastError | None = None

    def recorded_of(self, backup_ids: Sequence[str]) -> Recorded | None:
        """Tell what is recorded, with where these backups lie; what the rows do not tell is asked for."""
        if self.recorded is None or set(backup_ids) <= self.recorded.copies.keys():
            return self.recorded
        return recorded_in(self.settings)(backup_ids)


def read_catalog(settings: Settings) -> CatalogSeen:
    """Ask the catalog. Where it does not run, that is no error of this function."""
    where = {"kind": "embedded" if settings.catalog_url is None else "BACKUP_CATALOG_URL"}
    try:
        with catalog_if_running(settings) as catalog:
            if catalog is None:
                return _silent(settings, where, DatabaseUnreachableError("the catalog does not run", next_step=CATALOG_START))
            return _seen(catalog, where)
    except UnreachableError as error:
        return _silent(settings, where, error)


def not_read(settings: Settings, error: HoldfastError) -> CatalogSeen:
    """Say of a catalog that answered with an error, or not in time, just that."""
    return CatalogSeen(settings, wrong(error), error=error, configuration=configuration_without_catalog())


def configuration_without_catalog() -> Report:
    """Return what is in force as far as environment, `.env` and defaults say."""
    return effective_configuration(cast("Catalog", _NothingKept()))


class _NothingKept:
    """Stands for a catalog that can't be asked, of which only the kept configuration is wanted."""

    def config(self) -> dict[str, Any]:
        return {}


def _silent(settings: Settings, where: Report, error: HoldfastError) -> CatalogSeen:
    report = {"ok": True, **where, "running": False}
    return CatalogSeen(settings, report, error=error, configuration=configuration_without_catalog())


def _seen(catalog: Catalog, where: Report) -> CatalogSeen:
    in_force = load_settings(catalog)
    rows = sorted((row for kind in TYPES for row in catalog.jobs(kind, limit=_ROWS_OF_A_TYPE)), key=_newest_last, reverse=True)
    tests = catalog.plans.tests(in_force.plan_test_days)
    return CatalogSeen(
        in_force,
        {"ok": True, **where, "running": True},
        rows,
        Recorded.of(catalog.dashboard(), {row.job_id: row.metadata for row in rows}, tests),
        _open_work(catalog),
        catalog.executions.open_work(),
        effective_configuration(catalog),
    )


def _open_work(catalog: Catalog) -> list[Record]:
    work: list[Record] = [*catalog.open_work()]
    with suppress(NotFoundError):  # a catalog that an older Holdfast made has no such rows, until the next job migrates it
        work += catalog.maintenance.open_work()
    return sorted(work, key=_newest_last)


def _newest_last(row: Record) -> tuple[Any, str]:
    return row.started_at, row.job_id


def jobs_at_work(seen: CatalogSeen) -> list[Report]:
    """Describe the jobs that are pending or running, the oldest first."""
    return [_job(row) for row in seen.work]


def _job(row: Record) -> Report:
    return {
        "jobId": row.job_id,
        "kind": row.kind,
        "type": row.type,
        "status": row.status,
        "startedAt": row.started_at,
    }


def executions_at_work(seen: CatalogSeen) -> list[Report]:
    """Describe the executions of plans that run or wait for something, such as a person's approval."""
    return [
        {
            "executionId": one.id,
            "planId": one.plan_id,
            "mode": one.mode,
            "status": one.status,
            "startedAt": one.started_at,
            "waitingFor": one.waiting_for,
        }
        for one in seen.executions
    ]


def last_run(kind: str, rows: Sequence[JobRecord]) -> Report | None:
    """Describe the newest run of a type, however it ended; None where none is recorded."""
    row = next((row for row in rows if row.type == kind), None)
    if row is None:
        return None
    found = documents.of_row(row)
    return {name: found[name] for name in ("jobId", "startedAt", "completedAt", "error")} | {"status": row.status}
