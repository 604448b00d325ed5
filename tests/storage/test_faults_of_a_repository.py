"""A whole backup over a bad line: it comes back as it was, or an error says what is missing; nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from holdfast.errors import StorageDeniedError, StorageUnreachableError
from holdfast.repository import Repository, UserKey
from holdfast.storage import open_storage
from holdfast.storage.retrying import RetryPolicy
from tests.repository.making import back_up, noise, read_all
from tests.storage.faults import RECOVERABLE, Fault, Request
from tests.storage.test_faults import ALWAYS, Way, kind, way

__all__ = ["kind", "way"]  # the fixtures

KEY = UserKey.parse("11" * 32)
CONTENTS = {"a": noise(1, 6_000_000), "b": noise(2, 900_000), "empty": b""}
PATIENT = RetryPolicy(tries=12, first_seconds=0.001, longest_seconds=0.01)


@pytest.fixture(params=["encrypted", "plain"])
def key(request: pytest.FixtureRequest) -> UserKey | None:
    return KEY if request.param == "encrypted" else None


def _opened(way: Way, key: UserKey | None, make: bool = False) -> Repository:
    storage = open_storage(way.settings, retry=PATIENT)
    return Repository.create(storage, key=key, encrypt=key is not None) if make else Repository.open(storage, key=key)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_backup_over_a_line_that_fails_every_sixth_time_is_whole(way: Way, key: UserKey | None, seed: int) -> None:
    rule = way.proxy.inject(*RECOVERABLE, times=ALWAYS, chance=1 / 6, seed=seed)
    repository = _opened(way, key, make=True)
    manifest = back_up(repository, "backup_1", CONTENTS)
    again = back_up(repository, "backup_2", CONTENTS)
    assert again.new_chunks == 0
    report = repository.check(level="read")
    assert report.ok, report.problems
    assert read_all(repository, manifest) == CONTENTS
    repository.forget("backup_1")
    repository.prune(grace_seconds=0)
    repository.close()
    assert rule.met > 10

    way.proxy.heal()
    repository = _opened(way, key)
    report = repository.check(level="read")
    assert report.ok, report.problems
    assert [one.id for one in repository.backups()] == ["backup_2"]
    assert read_all(repository, again) == CONTENTS
    assert repository.leases() == []
    assert not list(way.direct.list("damaged")), "a fault on the way was taken for damage of what is stored"
    repository.close()


def _chunks(way: Way) -> int:
    """Return how many chunks are stored: where the contents are cut follows from the key, which is another in each repository."""
    return len(list(way.direct.list("chunks")))


def _first_of_each() -> Callable[[Request], bool]:
    """Pick each object's first reading, and no other."""
    seen: set[str] = set()
    lock = threading.Lock()

    def pick(request: Request) -> bool:
        with lock:
            first = request.reads_content and request.target not in seen
            if first:
                seen.add(request.target)
        return first

    return pick


@pytest.mark.parametrize("fault", [Fault.WRONG_CONTENT, Fault.CUT_BODY_AND_LENGTH])
def test_what_came_wrong_is_read_once_more_and_never_accepted(way: Way, key: UserKey | None, fault: Fault) -> None:
    repository = _opened(way, key, make=True)
    manifest = back_up(repository, "backup_1", CONTENTS)
    rule = way.proxy.inject(fault, times=ALWAYS, where=_first_of_each())
    assert read_all(repository, manifest) == CONTENTS
    assert rule.met >= _chunks(way)
    way.proxy.heal()
    way.proxy.inject(fault, times=ALWAYS, where=_first_of_each())
    report = repository.check(level="read", set_aside=True)
    assert report.ok, report.problems
    repository.close()
    way.proxy.heal()
    way.proxy.inject(fault, times=ALWAYS, where=_first_of_each())
    repository = _opened(way, key)
    back_up(repository, "backup_2", CONTENTS)
    assert [one.id for one in repository.backups()] == ["backup_2", "backup_1"]
    repository.close()
    assert not list(way.direct.list("damaged")), "a fault on the way was taken for damage of what is stored"


def test_chunks_that_no_backup_vouches_for_are_not_called_damaged_for_a_fault_on_the_way(way: Way, key: UserKey | None) -> None:
    repository = _opened(way, key, make=True)
    back_up(repository, "backup_1", CONTENTS)
    repository.forget("backup_1")
    rule = way.proxy.inject(Fault.WRONG_CONTENT, times=ALWAYS, where=_first_of_each())
    manifest = back_up(repository, "backup_2", CONTENTS)
    assert rule.met >= _chunks(way)
    repository.close()
    way.proxy.heal()
    repository = _opened(way, key)
    assert read_all(repository, manifest) == CONTENTS
    repository.close()
    assert not list(way.direct.list("damaged"))


@pytest.mark.parametrize(("fault", "error"), [(Fault.ERROR, StorageUnreachableError), (Fault.EXPIRED, StorageDeniedError)])
def test_a_backup_that_is_cut_off_fails_and_leaves_the_earlier_one_whole(way: Way, fault: Fault, error: type[Exception]) -> None:
    repository = _opened(way, KEY, make=True)
    first = back_up(repository, "backup_1", {"a": CONTENTS["b"]})
    stored = [0]

    def after_a_while(request: Request) -> bool:
        stored[0] += request.method != "GET"
        return stored[0] > 4

    way.proxy.inject(fault, times=ALWAYS, where=after_a_while)
    with pytest.raises(error):
        back_up(repository, "backup_2", CONTENTS)
    way.proxy.heal()
    assert [one.id for one in repository.backups()] == ["backup_1"]
    assert repository.check(level="read").ok
    assert read_all(repository, first) == {"a": CONTENTS["b"]}
    back_up(repository, "backup_3", CONTENTS)
    assert repository.check(level="read").ok
    repository.close()
