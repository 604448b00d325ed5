"""Look after everything, every few minutes: end what is dead, have Prefect as the settings say, probe, tell how things stand."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.utilities.timeout import timeout

from orchestration.job import Job
from orchestration.monitor import LONGEST_SECONDS, keep_in_order, opened_patiently, time_limit_seconds
from orchestration.run_names import named
from orchestration.working import at_work


@flow(
    name="health_monitor",
    flow_run_name=named("look after everything", "monitor"),
    timeout_seconds=LONGEST_SECONDS,
    persist_result=False,
)
def health_monitor(storage: str = "holdfast-storage", key: str = "holdfast-key", patience_seconds: float = 40) -> dict[str, Any]:
    """Do what has to be done now and then, and look over how all of it stands, which alarms, dashboard and heartbeat then tell.

    It fails where the repository can't be opened for as long as `patience_seconds`; what does not need it is done all the same.
    """
    job = Job("monitor", "monitor")
    with timeout(time_limit_seconds(job.settings)):
        done = keep_in_order(job.settings, storage, key)
        with at_work(job, opened_patiently(storage, key, patience_seconds)):
            return job.completed(done)
