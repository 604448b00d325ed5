"""Look after everything, every few minutes: end what is dead, have Prefect as the settings say, and tell how things stand."""

from __future__ import annotations

from typing import Any

from prefect import flow

from orchestration.job import Job
from orchestration.monitor import keep_in_order, opened_patiently
from orchestration.working import at_work

TIME_LIMIT_SECONDS = 280
"""Less than the five minutes until the next run."""


@flow(name="health_monitor", flow_run_name="look after everything", timeout_seconds=TIME_LIMIT_SECONDS, persist_result=False)
def health_monitor(storage: str = "holdfast-storage", key: str = "holdfast-key", patience_seconds: float = 40) -> dict[str, Any]:
    """Do what has to be done now and then, and look over how all of it stands, which alarms, dashboard and heartbeat then tell.

    It fails where the repository can't be opened for as long as `patience_seconds`; what does not need it is done all the same.
    """
    job = Job("monitor", "monitor")
    done = keep_in_order(job.settings)
    with at_work(job, opened_patiently(storage, key, patience_seconds)):
        return job.completed(done)
