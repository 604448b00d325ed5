"""Jobs: all of them, the newest first, and each in full, with its error, what to do now, and its run in the Prefect UI."""

from __future__ import annotations

from typing import Any, get_args

from fastapi import APIRouter, Request, Response

from api.access import TheParts
from api.handlers.jobs import JOB, JOBS, Kind, Status
from api.page.asking import answer, answer_or_error
from api.page.person import ThePerson
from api.page.showing import PageRoute, page
from api.waiting import OPEN
from holdfast.backup_types import TYPES

router = APIRouter(route_class=PageRoute, include_in_schema=False)

PAGE = 30
_SINCE = (("", "ever"), ("24h", "24 hours"), ("7d", "7 days"), ("30d", "30 days"))


def _choices(names: tuple[str, ...]) -> list[tuple[str, str]]:
    return [("", "all"), *((name, name) for name in names if name != "all")]


_FILTERS = (
    ("kind", "Kind", _choices(get_args(Kind))),
    ("type", "Type", _choices(TYPES)),
    ("status", "State", _choices(get_args(Status))),
    ("since", "Since", _SINCE),
)


@router.get("/jobs")
def list_jobs(request: Request, parts: TheParts, person: ThePerson) -> Response:
    """List jobs; the filters are in the address, so that a list can be kept."""
    asked = request.query_params
    chosen: dict[str, Any] = {name: asked.get(name, "") for name, _, _ in _FILTERS}
    cursor = asked.get("cursor", "")
    found, wrong = answer_or_error(parts, person, JOBS, **chosen, cursor=cursor, limit=str(PAGE))
    following = found and found["nextCursor"]
    return page(
        request,
        person,
        "jobs.html",
        section="Jobs",
        filters=_FILTERS,
        chosen=chosen,
        cursor=cursor,
        jobs=found["jobs"] if found else [],
        next_page={**chosen, "cursor": following} if following else None,
        wrong=wrong,
    )


@router.get("/jobs/{job_id}")
def show_job(request: Request, parts: TheParts, person: ThePerson, job_id: str) -> Response:
    """Show one job, live until it has ended."""
    job = answer(parts, person, JOB, jobId=job_id)
    return page(request, person, "job.html", section="Jobs", job=job, is_open=job["status"] in OPEN)
