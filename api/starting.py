"""Start what runs long: the answer comes at once, with the id of a job that is followed from then on.

A repeated request with its Idempotency-Key is answered as the first time, and starts nothing. The job's row is in the catalog at
once; where the catalog does not run, the work is started all the same, and its job is found by Prefect's tag.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from api.action import Asked, Json
from holdfast.catalog import Catalog
from holdfast.errors import HoldfastError
from orchestration.server import prefect_place
from orchestration.submitting import Order, Repeatable, Submitted, submit, submitted_before

_NO_WORKER = "no worker is there now: the job waits until one is, such as that of 'holdfast serve'"
_log = logging.getLogger(__name__)


def start(asked: Asked[Any], action: str, order: Callable[[], Order]) -> tuple[Json, Json]:
    """Start a run; return what is known of its job, and its parameters.

    `order` is called only where the same request started nothing before. Raises PrefectUnreachableError, NotFoundError (nothing
    is deployed), BusyError, KeyReusedError, and what `order` raises.
    """
    ask, repeatable = asked.parts.prefect(), _repeatable(asked, action)
    submitted = submitted_before(ask, repeatable) if repeatable else None
    if submitted is None:
        submitted = submit(ask, asked.parts.settings.target, order(), asked_by=asked.caller.name, repeatable=repeatable)
    _announce(asked, submitted)
    return answer_of(asked, submitted), submitted.parameters


def _repeatable(asked: Asked[Any], action: str) -> Repeatable | None:
    if asked.idempotency_key is None:
        return None
    return Repeatable.of(asked.idempotency_key, asked.caller.name, action, asked.said.model_dump(mode="json"))


def _announce(asked: Asked[Any], submitted: Submitted) -> None:
    """Have the job in the catalog at once; a flow that has begun meanwhile has made the row already.

    Done for a repeated request too: the first may have died in between.
    """
    place = prefect_place(asked.parts.settings)
    known = {"flowRunId": submitted.flow_run_id, "askedBy": asked.caller.name, **({"prefect": place} if place else {})}
    try:
        with asked.parts.catalog() as catalog:
            _rows(catalog, submitted, known)
    except HoldfastError as error:
        _log.warning("the row of %s is made when its run begins: %s", submitted.job_id, error.what_and_why)


def _rows(catalog: Catalog, submitted: Submitted, known: Json) -> None:
    job_id, said = submitted.job_id, submitted.parameters
    for kind, part in (said.get("job_ids") or {}).items():
        catalog.announce_job(part, kind, known)
    if submitted.kind == "backup" and submitted.type != "all":
        catalog.announce_job(job_id, submitted.type, known)
    elif submitted.kind == "restore" and not said.get("dry_run"):
        catalog.announce_restore(job_id, said.get("backup_id", "latest"), submitted.type, known)
    else:
        catalog.maintenance.announce(job_id, submitted.kind, submitted.type, known)


def answer_of(asked: Asked[Any], submitted: Submitted) -> Json:
    """Tell whoever asked what is known of the job now."""
    return {
        "jobId": submitted.job_id,
        "kind": submitted.kind,
        "type": submitted.type,
        "status": "pending",
        "run": {"id": submitted.flow_run_id, "url": asked.parts.run_url(submitted.flow_run_id)},
        "notes": [_NO_WORKER] if submitted.worker is False else [],
    }
