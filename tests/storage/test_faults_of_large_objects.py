"""Objects that are sent in parts: a fault in any request leaves the whole object or none, and of many exactly one wins."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from holdfast.errors import ObjectExistsError, StorageUnreachableError
from holdfast.storage import Storage, StorageSettings
from holdfast.storage.azure import AzureStorage
from holdfast.storage.gcs import GcsStorage
from holdfast.storage.retrying import RetryingStorage, RetryPolicy
from holdfast.storage.s3 import S3Storage
from tests.storage.faults import Fault, Request
from tests.storage.race import winners
from tests.storage.test_faults import ALWAYS, Way, kind, way

from .conformance import MIB

__all__ = ["kind", "way"]  # the fixtures

PART = 5 * MIB  # S3 takes no smaller ones
DATA = random.Random(9).randbytes(9 * MIB)  # Google's client sends what is larger than 8 MiB in parts by itself


def _opened(settings: StorageSettings, tries: int) -> Storage:
    policy = RetryPolicy(tries=tries, first_seconds=0.001, longest_seconds=0.01)
    if settings.type == "s3":
        return RetryingStorage(S3Storage(settings, large_bytes=PART, part_bytes=PART), policy)
    if settings.type == "azure":
        return RetryingStorage(AzureStorage(settings, large_bytes=PART, part_bytes=PART), policy)
    return RetryingStorage(GcsStorage(settings), policy)


@pytest.fixture
def storage(way: Way) -> Iterator[Storage]:
    storage = _opened(way.settings, 8)
    yield storage
    storage.close()


class Nth:
    """Picks the n-th upload request, once."""

    def __init__(self, number: int) -> None:
        self._left = number

    def __call__(self, request: Request) -> bool:
        self._left -= request.writes
        return request.writes and not self._left


@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.RESET_MID_REQUEST, Fault.RESET_AFTER_DONE, Fault.CUT_BODY])
def test_a_fault_in_any_request_is_recovered_from(way: Way, storage: Storage, fault: Fault) -> None:
    met = 0
    for number in range(1, 9):
        way.proxy.heal()
        rule = way.proxy.inject(fault, where=Nth(number))
        storage.put(f"n/{number}", DATA)
        assert way.direct.get(f"n/{number}") == DATA
        way.proxy.heal()
        with pytest.raises(ObjectExistsError):
            storage.put(f"n/{number}", DATA)
        if not rule.met:
            break
        met += 1
    assert met >= 2
    assert {info.name for info in way.direct.list()} == {f"n/{number}" for number in range(1, met + 2)}


@pytest.mark.parametrize("number", [1, 2])
def test_an_upload_that_is_cut_off_leaves_no_object(way: Way, number: int) -> None:
    storage = _opened(way.settings, 1)
    way.proxy.inject(Fault.RESET_MID_REQUEST, where=Nth(number))
    with pytest.raises(StorageUnreachableError, match="'x'"):
        storage.put("x", DATA)
    storage.close()
    assert way.direct.head("x") is None
    assert not list(way.direct.list())


@pytest.mark.parametrize("seed", range(2))
def test_of_many_that_send_the_same_name_exactly_one_wins(way: Way, seed: int) -> None:
    way.proxy.inject(
        Fault.ERROR, Fault.RESET_AFTER_DONE, Fault.ERROR_AFTER_DONE, Fault.RESET_AT_ONCE, times=ALWAYS, chance=0.2, seed=seed
    )
    storage = _opened(way.settings, 40)

    won = winners(lambda number: storage.put("race", bytes([number]) * len(DATA)), 3)
    storage.close()
    assert len(won) == 1
    assert way.direct.get("race") == bytes(won) * len(DATA)
