"""`/v1/jobs`: jobs of every kind."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from api.access import TheCaller, TheParts
from api.action import Asked, perform
from api.answer import JsonAnswer
from api.guide import understood
from api.handlers import jobs
from api.waiting import LONGEST_SECONDS, answered

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

Wait = Annotated[float, Query(ge=0, le=LONGEST_SECONDS, description="Seconds to wait for its end")]
Wanted = Annotated[jobs.JobsWanted, Query()]


@router.get("", response_class=JsonAnswer)
def list_jobs(parts: TheParts, caller: TheCaller, said: Wanted) -> JsonAnswer:
    """List jobs, the newest first."""
    return JsonAnswer(perform(jobs.JOBS, Asked(parts, caller, said)))


@router.get("/{job_id}", response_class=JsonAnswer)
async def show_job(request: Request, job_id: str, parts: TheParts, caller: TheCaller, wait: Wait = 0) -> JsonAnswer:
    """Show a job as it is now, or as soon as it has ended."""
    said = understood(jobs.JobNamed, {"jobId": job_id, "wait": wait})
    return JsonAnswer(await answered(jobs.JOB, Asked(parts, caller, said), request.app.state.waiting))
