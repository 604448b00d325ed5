"""Dead work is told from live work by lease and process, never by age."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psutil
import pytest

from holdfast.catalog import JobRecord
from holdfast.process_identity import is_known_dead, is_known_dead_holder, this_process
from holdfast.repository import Repository
from holdfast.storage.memory import MemoryStorage
from orchestration.dead_work import Judgement

LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


@pytest.fixture
def repository() -> Iterator[Repository]:
    """A repository in memory."""
    opened = Repository.create(MemoryStorage(), key=None, encrypt=False)
    yield opened
    opened.close()


def _row(**metadata: Any) -> JobRecord:
    return JobRecord("backup_1_a", "database", "running", LONG_AGO, metadata=metadata)


def test_old_work_is_alive_for_as_long_as_its_lease_is(repository: Repository) -> None:
    with repository.lease("work") as lease:
        row = _row(host="elsewhere", pid=1, leaseId=lease.id, repositoryId=repository.id)
        assert Judgement(repository).is_alive(row)
    assert not Judgement(repository).is_alive(row)


def test_the_work_of_another_repository_is_not_judged_by_this_ones_leases(repository: Repository) -> None:
    assert Judgement(repository).is_alive(_row(host="elsewhere", pid=1, leaseId="gone", repositoryId="another"))


def test_a_run_that_reads_from_a_replica_is_not_judged_by_the_leases_of_the_primary(repository: Repository) -> None:
    known = {"host": "elsewhere", "pid": 1, "leaseId": "in-the-replica", "repositoryId": repository.id}
    assert Judgement(repository).is_alive(_row(**known, leasedIn="s3://elsewhere/copy"))
    assert not Judgement(repository).is_alive(_row(**known, leasedIn=repository.location))


def test_work_whose_process_is_gone_from_this_host_is_dead_though_its_lease_has_not_expired(repository: Repository) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    started = psutil.Process(ended.pid).create_time()
    ended.wait()
    with repository.lease("work") as lease:
        row = _row(
            host=socket.gethostname(), pid=ended.pid, processStartedAt=started, leaseId=lease.id, repositoryId=repository.id
        )
        assert not Judgement(repository).is_alive(row)


def test_work_that_nothing_is_known_of_is_left_alone(repository: Repository) -> None:
    for row in (_row(), _row(host="elsewhere", pid=1), _row(**this_process())):
        assert Judgement(repository).is_alive(row)


def test_a_process_that_only_got_the_number_of_a_dead_one_is_another() -> None:
    mine = this_process()
    assert not is_known_dead(mine)
    assert is_known_dead({**mine, "processStartedAt": mine["processStartedAt"] - 100})
    assert not is_known_dead({**mine, "host": "elsewhere", "pid": 2**22 + 1})
    assert not is_known_dead({})
    assert is_known_dead_holder(f"{socket.gethostname()}:{2**22 + 1}")
    assert not is_known_dead_holder(f"{socket.gethostname()}:{os.getpid()}")
    assert not is_known_dead_holder("somebody")
