"""What a run leaves of how things stand: the dashboard in Prefect's UI, and the file of metrics."""

from __future__ import annotations

from pathlib import Path

import pytest
from prefect import flow

from flows.database_backup import database_backup
from orchestration import dashboard
from orchestration.aftermath import Aftermath, tell_how_things_stand
from orchestration.dashboard import show_dashboard
from orchestration.job import Job
from tests.flows.conftest import KEY, PASSWORD, Installation
from tests.test_metrics import samples


@flow
def look_over() -> None:
    """Look over everything, as the health monitor does."""
    with Job("monitor", "monitor", recorded=False) as job:
        tell_how_things_stand(job, None)
        job.completed({})


@flow
def leave_pages(count: int) -> None:
    """Leave so many pages, as the runs of some days do."""
    with Job("replication", "replication", recorded=False) as job:
        after = Aftermath(job, None)
        for _ in range(count):
            show_dashboard(after)
        job.completed({})


def test_a_backup_leaves_a_dashboard_and_metrics_of_all_types(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "holdfast.prom"
    monkeypatch.setenv("BACKUP_METRICS_FILE", str(path))
    made = database_backup()
    page = installation.artifacts("holdfast-dashboard")[-1]
    assert "| | database | function | config | secrets |" in page
    assert "| **State** | ✓ well | off | off | off |" in page
    assert "![Size and duration](data:image/svg+xml;base64," in page
    assert "RTO, all types one after the other" in page
    assert "Dedup ratio" in page
    assert not [secret for secret in (KEY, PASSWORD) if secret in page]
    found = samples(path.read_bytes())
    assert found["holdfast_backup_size_bytes", "database"] == made["sizeBytes"]
    assert (found["holdfast_repository_seen", ""], found["holdfast_catalog_seen", ""]) == (1, 1)


def test_what_only_watches_puts_the_newest_page_up_to_date_and_leaves_none(installation: Installation) -> None:
    database_backup()
    before = installation.artifacts("holdfast-dashboard")
    look_over()
    after = installation.artifacts("holdfast-dashboard")
    assert len(after) == len(before)
    assert "Dedup ratio" in before[-1]
    assert "Dedup ratio" not in after[-1], "it looked without a repository"
    assert after[:-1] == before[:-1]


def test_only_the_newest_pages_are_kept(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard, "KEPT_PAGES", 3)
    leave_pages(5)
    assert len(installation.artifacts("holdfast-dashboard")) == 3


def test_a_server_that_takes_no_page_harms_no_backup(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The key of the artifact is one that the server refuses."""
    monkeypatch.setattr(dashboard, "dashboard_key", lambda _: "NOT A KEY")
    made = database_backup()
    assert made["status"] == "completed"
    assert "show_dashboard could not be done" in caplog.text
    assert installation.row(made["jobId"]).status == "completed"
