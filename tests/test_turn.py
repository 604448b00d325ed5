"""Runs of one purpose take turns: who came later waits, and goes on as soon as the first has ended."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from holdfast.errors import BusyError
from holdfast.repository import Repository
from holdfast.storage import MemoryStorage
from holdfast.turn import wait_to_be_first


@pytest.fixture
def repository() -> Iterator[Repository]:
    opened = Repository.create(MemoryStorage(), key=None, encrypt=False)
    yield opened
    opened.close()


def test_who_came_later_waits_for_the_first_to_end(repository: Repository) -> None:
    went_on = threading.Event()

    def second() -> None:
        with repository.lease("replicate") as lease:
            has_lease.set()
            wait_to_be_first(repository, lease, limit_seconds=60)
            went_on.set()

    has_lease, later = threading.Event(), threading.Thread(target=second)
    with repository.lease("replicate") as lease:
        wait_to_be_first(repository, lease, limit_seconds=0)
        later.start()
        assert has_lease.wait(30)
        assert not went_on.is_set()
    later.join(30)
    assert went_on.is_set()


def test_whoever_waits_for_too_long_is_told_who_is_at_work(repository: Repository) -> None:
    with (
        repository.lease("replicate", holder="the first"),
        repository.lease("replicate") as lease,
        pytest.raises(BusyError, match="the first has been since"),
    ):
        wait_to_be_first(repository, lease, limit_seconds=0)


def test_other_work_is_not_waited_for(repository: Repository) -> None:
    with repository.lease("backup"), repository.lease("replicate") as lease:
        wait_to_be_first(repository, lease, limit_seconds=0)
