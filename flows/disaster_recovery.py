"""Carry out a recovery plan: assess, ask a person where one has to agree, recover step by step, and tell how it went."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from prefect import flow

from orchestration.job import Job
from orchestration.recovery.carrying_out import carry_out
from orchestration.recovery.request import Request, taken_up
from orchestration.run_names import named
from orchestration.working import at_work, read_from

Mode = Literal["run", "plan", "drill", "roll_back"]


@flow(name="disaster_recovery", flow_run_name=named("recover by {plan_id} ({mode})", "recovery"), persist_result=False)
def disaster_recovery(
    plan_id: str,
    trigger: str = "manual",
    mode: Mode = "run",
    *,
    facts: dict[str, Any] | None = None,
    event_id: str | None = None,
    occurred_at: datetime | None = None,
    force: bool = False,
    resume: str | None = None,
    approved_by: str | None = None,
    job_id: str | None = None,
    storage: str = "holdfast-storage",
    key: str = "holdfast-key",
) -> dict[str, Any]:
    """Carry out a plan, and return the execution.

    `plan` only says what would be done. `drill`, or the trigger `test_trigger`, does it on scratch targets. `roll_back` undoes
    the execution `resume`; otherwise `resume` goes on with that execution where it stopped. `facts`, `event_id` and
    `occurred_at` are of the event that started it. `force`: recover though all seems well. `approved_by`: who has agreed.
    """
    asked = Request(plan_id, trigger, mode, facts or {}, event_id, occurred_at, force, approved_by, job_id)
    request = taken_up(asked, resume)
    while True:
        job = Job("recovery", "recovery", request.job_id, recorded=not request.only_looks)
        with at_work(job, read_from(storage, key, None)) as (job, repository):
            done = carry_out(job, repository, request)
        if isinstance(done, dict):
            return done
        request = request.answered(done)
