"""A bandwidth limit is kept by all threads together, is fair, and keeps nobody from work that can't wait."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from holdfast.errors import ObjectNotFoundError, SettingsError, StorageUnreachableError
from holdfast.storage import MemoryStorage, Storage
from holdfast.storage.throttle import Limiter, ThrottledStorage, shared_limiter

from .conformance import MIB, StorageConformance

KIB = 1024
_unshared = count(1)


def a_limit(about: int) -> int:
    """Return a limit that no other test has used, for a limit is shared by the process."""
    return about + next(_unshared)


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class TestThrottledStorage(StorageConformance):
    @pytest.fixture
    def storage(self) -> Storage:
        return ThrottledStorage(MemoryStorage(), a_limit(1 << 40))


class TestSlowlyThrottledReads:
    """The parts that a low limit has objects read in are the object."""

    @pytest.fixture
    def storage(self) -> ThrottledStorage:
        return ThrottledStorage(MemoryStorage(), a_limit(8 * MIB))

    @pytest.mark.parametrize("size", [0, 1, 4 * MIB, 4 * MIB + 1, 5 * MIB])
    def test_an_object_of_any_size_is_read_whole(self, storage: ThrottledStorage, size: int) -> None:
        data = random.Random(size).randbytes(size)
        storage.inner.put("x", data)
        assert storage.get("x") == data
        assert b"".join(storage.stream("x")) == data

    def test_a_missing_object_is_missing(self, storage: ThrottledStorage) -> None:
        for read in (storage.get, lambda name: list(storage.stream(name))):
            with pytest.raises(ObjectNotFoundError, match="no/such"):
                read("no/such")

    @pytest.mark.parametrize("size", [5 * MIB, 4 * MIB + 5])
    def test_no_mixture_of_two_objects_is_handed_out(self, storage: ThrottledStorage, size: int) -> None:
        storage.inner.put("x", bytes(5 * MIB))
        parts = storage.stream("x")
        next(parts)
        storage.inner.put("x", b"\1" * size, replace=True)
        with pytest.raises(StorageUnreachableError, match=r"'x'.*replaced while it was read"):
            list(parts)


def test_threads_and_storages_with_the_same_limit_keep_to_it_together() -> None:
    limit = a_limit(4 * MIB)
    storages = [ThrottledStorage(MemoryStorage(), limit) for _ in range(2)]
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: storages[number % 2].put(f"n/{number}", bytes(MIB // 4)), range(16)))
    # 4 MiB take a second; the first object needs no turn to be over, and a tenth of a second is credit
    assert time.monotonic() - began >= (16 - 1) / 16 - 0.11


def test_reads_are_paid_for_and_uploads_do_not_pay_for_them() -> None:
    storage = ThrottledStorage(MemoryStorage(), a_limit(4 * MIB))
    storage.inner.put("x", bytes(MIB))
    began = time.monotonic()
    for _ in range(2):
        assert len(storage.get("x")) == MIB
    assert sum(map(len, storage.stream("x", part_bytes=MIB // 4))) == MIB
    assert storage.get_range("x", 0, MIB // 4) == bytes(MIB // 4)
    assert time.monotonic() - began >= 0.6
    up = shared_limiter("up", round(1 / storage._up._seconds_a_byte))
    assert up is storage._up
    assert up.book(1) == 0


@pytest.mark.parametrize("wrong", [0, -5])
def test_a_limit_of_nothing_is_a_settings_error(wrong: int) -> None:
    with pytest.raises(SettingsError, match="bandwidth limit"):
        ThrottledStorage(MemoryStorage(), wrong)


def test_turns_come_in_the_order_in_which_they_were_asked_for_and_each_has_its_time() -> None:
    clock = Clock()
    limiter = Limiter(1000 * KIB, clock)
    turns = [limiter.book(500 * KIB) for _ in range(6)]
    assert turns == pytest.approx([0, 0.5, 1.0, 1.5, 2.0, 2.5])
    clock.now += 2.0
    assert limiter.book(500 * KIB) == pytest.approx(1.0)


def test_time_that_nobody_used_is_not_saved_up() -> None:
    clock = Clock()
    limiter = Limiter(1000 * KIB, clock)
    clock.now += 3600
    turns = [limiter.book(1000 * KIB) for _ in range(3)]
    assert turns == pytest.approx([0, 0.9, 1.9])


def test_a_lease_is_renewed_in_time_however_much_is_waiting_to_be_sent() -> None:
    clock = Clock()
    limiter = Limiter(100 * KIB, clock)
    for _ in range(8):
        queued = limiter.book(4 * MIB)
    assert queued > 120
    assert limiter.book(500) == 0
    assert limiter.book(500) < 0.01


def test_small_objects_are_paid_for_and_many_of_them_keep_to_the_limit_too() -> None:
    clock = Clock()
    limiter = Limiter(100 * KIB, clock)
    turns = [limiter.book(10 * KIB) for _ in range(101)]
    assert turns[-1] == pytest.approx(10.0)
    assert limiter.book(4 * MIB) == pytest.approx(10.1)


def test_a_wait_is_broken_off_at_once_by_ctrl_c_and_gives_its_turn_back() -> None:
    limiter = Limiter(KIB)
    limiter.book(MIB)
    pid = os.getpid()
    timer = threading.Timer(0.2, lambda: os.kill(pid, signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            limiter.wait(MIB)  # a quarter of an hour
    finally:
        timer.join()
    assert limiter.book(MIB) <= 1024


def test_no_thread_is_left_behind_the_others() -> None:
    """All want to go on sending; when one has sent all its objects, none lags far behind."""
    storage = ThrottledStorage(MemoryStorage(), a_limit(40 * MIB))
    sent = [0] * 6
    over = threading.Event()

    def send(who: int) -> None:
        for number in range(12):
            if over.is_set():
                return
            storage.put(f"{who}/{number}", bytes(256 * KIB))
            sent[who] += 1
        over.set()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(send, range(6)))
    assert min(sent) >= 8
