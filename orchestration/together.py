"""A job that is made of others: it works on nothing itself, and its row says which jobs it is made of, and what came of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from prefect.runtime import flow_run

from holdfast.catalog.mirror import Mirror
from holdfast.errors import RefusedError
from holdfast.jobs import checked_job_id
from holdfast.opening import open_catalog
from holdfast.process_identity import this_process
from holdfast.settings import load_settings
from orchestration.job import outcome
from orchestration.kinds import Kind
from orchestration.rows import End, Json, MaintenanceRow
from orchestration.run_names import id_for_this_run


class Together:
    """What the row is told when all have ended."""

    def __init__(self) -> None:
        self.document: Json = {}

    def came_of(self, document: Json) -> None:
        """Say what came of the jobs."""
        self.document = document


@contextmanager
def together(kind: Kind, of: str, job_id: str | None, parts: Sequence[Json]) -> Iterator[Together]:
    """Have a row of the jobs that run inside the block, which `parts` names as far as they are known before.

    Raises RefusedError where a job of this id is completed already.
    """
    settings = load_settings()
    known = checked_job_id(id_for_this_run(kind, job_id))
    mirror = Mirror(lambda: open_catalog(settings))
    row, work = MaintenanceRow(mirror, known, kind, of), Together()
    try:
        if not row.open({**this_process(), "flowRunId": flow_run.id, "jobs": list(parts)}):
            raise RefusedError(f"there is a completed job {known!r} already", next_step="Give another id, or none")
        row.start({}, None)
        yield work
        row.close(End("completed", document=work.document))
    except BaseException as error:
        status, reason = outcome(error)
        row.close(End(status, reason, document=_found(error) or work.document))
        raise
    finally:
        mirror.close()


def _found(error: BaseException) -> Json:
    found: Any = getattr(error, "found", None)
    return {"jobs": found} if isinstance(found, list) else found or {}
