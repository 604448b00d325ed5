"""Every job is in the audit log with who was behind it, and repository and replicas hold the log when the job has ended."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any

import pytest
from prefect import tags

from flows.database_backup import database_backup
from flows.replication import replication
from flows.verification import verification
from holdfast.audit.reading import verified
from holdfast.errors import HoldfastError
from holdfast.repository import Repository
from holdfast.storage import LocalStorage
from tests.flows.conftest import Installation


def lines(installation: Installation, subject: str) -> list[dict[str, Any]]:
    with installation.catalog() as catalog:
        return [line.content() for line in reversed(catalog.audit.newest(subject=subject))]


def said(found: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(one["action"], *one["actor"].values(), one["outcome"], one["code"]) for one in found]


def test_a_backup_is_in_the_log_and_the_log_in_the_repository_and_its_replica(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = getpass.getuser()
    done = database_backup(job_id="backup_in_the_log")
    assert said(lines(installation, done["jobId"])) == [
        ("backup.start", "user", user, "accepted", None),
        ("backup.end", "user", user, "done", None),
    ]
    found = verified(installation.settings)
    assert (found.ok, found.not_mirrored, found.notes) == (True, 0, [])
    replica = tmp_path / "replica"
    monkeypatch.setenv("BACKUP_REPLICAS", replica.as_uri())
    assert replication()["status"] == "completed"
    copy = Repository.open(LocalStorage(replica), key=installation.settings.user_key())
    assert max(end for spans in copy.audit.spans().values() for _, end in spans) >= 2


def test_a_job_that_a_token_asked_for_names_it_and_one_that_failed_says_why(installation: Installation) -> None:
    with tags("asked-by:ci"), pytest.raises(HoldfastError):
        verification(backup_id="backup_nobodys", job_id="verify_in_the_log")
    assert said(lines(installation, "verify_in_the_log")) == [
        ("verification.start", "token", "ci", "accepted", None),
        ("verification.end", "token", "ci", "failed", "HF-300"),
    ]
