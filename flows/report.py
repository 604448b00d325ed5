"""Report on the last days: what ran, what failed, what was deleted and proven, and what to see to."""

from __future__ import annotations

from typing import Any

from prefect import flow

from holdfast.period import Period
from orchestration.job import Job
from orchestration.report import Reporting
from orchestration.run_names import named
from orchestration.tasks import second_net, step
from orchestration.working import at_work, read_from


@flow(
    name="report",
    flow_run_name=named("report on the last {days} days", "report"),
    timeout_seconds=second_net("verify_time_limit_minutes"),
    persist_result=False,
)
def report(
    *, days: int = 7, job_id: str | None = None, storage: str = "holdfast-storage", key: str = "holdfast-key"
) -> dict[str, Any]:
    """Look back on so many days, leave the report in Prefect's UI, and send it by the channels for messages."""
    with at_work(Job("report", "report", job_id), read_from(storage, key, None)) as (job, repository):
        work = Reporting(job, repository, days)
        period = look_back(work)
        show(work, period)
        return work.completed(period, send(work, period))


@step("look back")
def look_back(work: Reporting) -> Period:
    """Find out what happened."""
    return work.look_back()


@step("show the report")
def show(work: Reporting, period: Period) -> None:
    """Leave it in Prefect's UI."""
    work.show(period)


@step("send the report", retries=0)
def send(work: Reporting, period: Period) -> list[dict[str, Any]]:
    """Send it by every channel; return what each said."""
    return work.send(period)
