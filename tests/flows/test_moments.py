"""What the benchmark reads of a run's moments is what Prefect has noted of it."""

from __future__ import annotations

import time

import pytest

from benchmarks.prefect_share import Asked
from flows.database_backup import database_backup
from holdfast.errors import NotFoundError
from holdfast.jobs import new_job_id
from tests.flows.conftest import Installation


def test_the_moments_of_a_run_are_in_order_between_its_start_and_its_end(installation: Installation) -> None:
    began, asked = time.time(), Asked(installation.prefect_url)
    job_id = str(database_backup()["jobId"])
    at = asked.moments(asked.run_of(job_id))
    order = [began, *(at[name] for name in ("PENDING", "RUNNING", "first", "read", "kept", "COMPLETED")), time.time()]
    assert order == sorted(order)


def test_a_run_that_failed_is_no_figure(installation: Installation) -> None:
    asked, job_id = Asked(installation.prefect_url), new_job_id("backup")
    with pytest.raises(NotFoundError):
        database_backup(database="nobody", job_id=job_id)
    with pytest.raises(RuntimeError, match="FAILED"):
        asked.moments(asked.run_of(job_id))
