"""What is tried again, how often, and that trying again never does more, or other, than trying once.

Faults on the wire are in test_faults; here a storage in memory fails at the moments that decide.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

import pytest

from holdfast.errors import (
    HoldfastError,
    ObjectExistsError,
    ObjectNotFoundError,
    SettingsError,
    StorageDeniedError,
    StorageFullError,
    StorageUnreachableError,
)
from holdfast.storage import MemoryStorage, ObjectInfo, Storage
from holdfast.storage.retrying import RetryingStorage, RetryPolicy
from holdfast.storage.wrapped import WrappedStorage
from tests.storage.race import winners

from .conformance import MIB, StorageConformance

_T = TypeVar("_T")
QUICK = RetryPolicy(tries=6, first_seconds=0.001, longest_seconds=0.01)


class UnsteadyStorage(WrappedStorage):
    """Fails the next calls as it is told: before they are done, or after (then the answer is lost)."""

    def __init__(self, before: int = 0, after: int = 0, error: HoldfastError | None = None) -> None:
        super().__init__(MemoryStorage())
        self.before = before
        self.after = after
        self.calls = 0
        self._error = error or StorageUnreachableError("no answer", reason="a test")

    def _fail(self, moment: str) -> None:
        left = getattr(self, moment)
        if left:
            setattr(self, moment, left - 1)
            raise self._error

    def put(self, name: str, data: bytes | bytearray | memoryview, *, replace: bool = False, bulk: bool = False) -> None:
        self.calls += 1
        self._fail("before")
        super().put(name, data, replace=replace, bulk=bulk)
        self._fail("after")

    def get(self, name: str) -> bytes:
        self.calls += 1
        self._fail("before")
        return super().get(name)

    def get_range(self, name: str, start: int, length: int) -> bytes:
        self._fail("before")
        return super().get_range(name, start, length)

    def head(self, name: str) -> ObjectInfo | None:
        self._fail("before")
        return super().head(name)

    def delete(self, name: str) -> None:
        self._fail("before")
        super().delete(name)
        self._fail("after")

    def sync(self) -> None:
        self._fail("before")

    def lock(self, name: str, until: datetime) -> None:
        self._fail("before")

    def locked_until(self, name: str) -> datetime | None:
        self._fail("before")
        return None

    def tidy(self, before: datetime) -> int:
        self._fail("before")
        return 0


class TestRetryingStorage(StorageConformance):
    @pytest.fixture
    def storage(self) -> Storage:
        return RetryingStorage(MemoryStorage())


class TestRetryingOfAnUnsteadyStorage(StorageConformance):
    """The contract holds where one call in seven fails, half of them after they were done."""

    @pytest.fixture
    def storage(self) -> Storage:
        class Failing(UnsteadyStorage):
            chance = random.Random(7)

            def _fail(self, moment: str) -> None:
                if self.chance.random() < 1 / 14:
                    raise StorageUnreachableError("no answer")

        return RetryingStorage(Failing(), RetryPolicy(tries=20, first_seconds=0.0001, longest_seconds=0.001))


CALLS: list[Callable[[Storage], object]] = [
    lambda storage: storage.put("new", b"1"),
    lambda storage: storage.put("x", b"2", replace=True),
    lambda storage: storage.get("x"),
    lambda storage: storage.get_range("x", 0, 1),
    lambda storage: list(storage.stream("x")),
    lambda storage: storage.head("x"),
    lambda storage: storage.delete("x"),
    lambda storage: storage.sync(),
    lambda storage: storage.lock("x", datetime.now(UTC)),
    lambda storage: storage.locked_until("x"),
    lambda storage: storage.tidy(datetime.now(UTC)),
    lambda storage: storage.clock(),
]


@pytest.mark.parametrize("call", CALLS)
def test_every_call_is_tried_again_until_it_succeeds(call: Callable[[Storage], object]) -> None:
    inner = UnsteadyStorage()
    inner.put("x", b"1")
    inner.before = 5
    call(RetryingStorage(inner, QUICK))
    assert inner.before == 0


@pytest.mark.parametrize("call", CALLS)
def test_in_the_end_it_gives_up_and_says_how_often_it_tried(call: Callable[[Storage], object]) -> None:
    inner = UnsteadyStorage()
    inner.put("x", b"1")
    inner.before = 100
    with pytest.raises(StorageUnreachableError, match=r"no answer: a test \(tried 6 times in 0 s\)"):
        call(RetryingStorage(inner, QUICK))
    assert inner.before in {94, 88}  # a clock deletes its object again, come what may


@pytest.mark.parametrize("kind", [StorageDeniedError, SettingsError, ObjectNotFoundError, StorageFullError])
def test_what_would_only_fail_again_is_not_tried_again(kind: type[HoldfastError]) -> None:
    inner = UnsteadyStorage(before=2, error=kind("no"))
    with pytest.raises(kind):
        RetryingStorage(inner, QUICK).get("x")
    assert inner.calls == 1


def test_patience_ends_however_many_tries_are_left() -> None:
    inner = UnsteadyStorage(before=10**6)
    with pytest.raises(StorageUnreachableError):
        RetryingStorage(inner, RetryPolicy(tries=10**6, first_seconds=0.02, longest_seconds=0.02, patience_seconds=0.2)).get("x")
    assert inner.calls < 1000


def test_pauses_grow_up_to_a_limit_and_are_spread_over_all_of_it() -> None:
    policy = RetryPolicy()
    for tried, longest in ((1, 0.5), (2, 1), (3, 2), (4, 4), (5, 8), (6, 16), (7, 20), (60, 20)):
        pauses = [policy.pause_seconds(tried) for _ in range(500)]
        assert 0 <= min(pauses) < longest / 10
        assert longest * 0.9 < max(pauses) <= longest


class TestPutIfAbsentWhoseAnswerWasLost:
    def test_is_done_when_the_object_turns_out_to_be_ours(self) -> None:
        inner = UnsteadyStorage(after=3)
        RetryingStorage(inner, QUICK).put("x", memoryview(b"mine"))
        assert inner.inner.get("x") == b"mine"

    def test_is_refused_when_another_was_first(self) -> None:
        class Overtaken(UnsteadyStorage):
            def put(self, name: str, data: bytes | bytearray | memoryview, *, replace: bool = False, bulk: bool = False) -> None:
                if not self.calls:
                    self.inner.put(name, b"theirs")
                super().put(name, data, replace=replace, bulk=bulk)

        inner = Overtaken(before=1)
        with pytest.raises(ObjectExistsError, match="'x'"):
            RetryingStorage(inner, QUICK).put("x", b"mine")
        assert inner.inner.get("x") == b"theirs"

    def test_is_refused_at_once_where_it_met_an_object_at_first_even_an_equal_one(self) -> None:
        inner = UnsteadyStorage()
        inner.put("x", b"same")
        with pytest.raises(ObjectExistsError):
            RetryingStorage(inner, QUICK).put("x", b"same")

    @pytest.mark.parametrize("seed", range(10))
    def test_has_exactly_one_winner_of_many(self, seed: int) -> None:
        chance = random.Random(seed)

        class Failing(UnsteadyStorage):
            def _fail(self, moment: str) -> None:
                if chance.random() < 0.3:
                    raise StorageUnreachableError("no answer")

        storage = RetryingStorage(Failing(), RetryPolicy(tries=50, first_seconds=0.0001, longest_seconds=0.001))

        won = winners(lambda number: storage.put("race", bytes([number]) * 1000), 8)
        assert len(won) == 1
        assert storage.get("race") == bytes(won) * 1000


class BreakingStorage(MemoryStorage):
    """Its streams and listings break after so many parts, as often as it is told, and `on_break` happens then."""

    def __init__(self, after: int, times: int = 1, on_break: Callable[[MemoryStorage], object] = lambda storage: None) -> None:
        super().__init__()
        self._parts = after
        self._times = times
        self._on_break = on_break

    def stream(self, name: str, *, part_bytes: int = 1 << 20) -> Iterator[bytes]:
        return self._breaking(super().stream(name, part_bytes=part_bytes))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        return self._breaking(super().list(prefix))

    def _breaking(self, parts: Iterator[_T]) -> Iterator[_T]:
        for number, part in enumerate(parts):
            if number == self._parts and self._times:
                self._times -= 1
                self._on_break(self)
                raise StorageUnreachableError("it broke")
            yield part


class TestAStreamThatBreaks:
    def test_goes_on_where_it_stopped(self) -> None:
        data = random.Random(3).randbytes(3 * MIB)
        for after in range(4):
            inner = BreakingStorage(after)
            inner.put("x", data)
            assert b"".join(RetryingStorage(inner, QUICK).stream("x", part_bytes=MIB - 7)) == data

    @pytest.mark.parametrize("after", range(4))
    @pytest.mark.parametrize("size", [4 * MIB, 3 * MIB, MIB])
    def test_never_goes_on_in_another_object(self, after: int, size: int) -> None:
        def put_another(storage: MemoryStorage) -> None:
            storage.put("x", b"2" * size, replace=True)

        inner = BreakingStorage(after, on_break=put_another)
        inner.put("x", b"1" * 4 * MIB)
        with pytest.raises(StorageUnreachableError, match=r"'x'.*whole: it was replaced"):
            list(RetryingStorage(inner, QUICK).stream("x"))

    def test_is_read_to_its_end_when_it_was_cut_without_an_error(self) -> None:
        class Cutting(MemoryStorage):
            def stream(self, name: str, *, part_bytes: int = 1 << 20) -> Iterator[bytes]:
                yield next(super().stream(name, part_bytes=part_bytes))

        inner = Cutting()
        data = random.Random(4).randbytes(2 * MIB + 1)
        inner.put("x", data)
        assert b"".join(RetryingStorage(inner, QUICK).stream("x")) == data

    def test_that_is_longer_or_shorter_than_it_should_be_is_an_error(self) -> None:
        class Lying(MemoryStorage):
            def head(self, name: str) -> ObjectInfo | None:
                info = super().head(name)
                return info and replace(info, size_bytes=self.told)

            told = 0

        inner = Lying()
        inner.put("x", bytes(1000))
        for inner.told in (999, 1001):
            with pytest.raises(StorageUnreachableError, match=r"'x'.*whole: 1000 bytes came"):
                list(RetryingStorage(inner, QUICK).stream("x"))

    def test_says_so_when_the_object_has_gone(self) -> None:
        inner = BreakingStorage(1, on_break=lambda storage: storage.delete("x"))
        inner.put("x", bytes(2 * MIB))
        with pytest.raises(ObjectNotFoundError, match="'x'"):
            list(RetryingStorage(inner, QUICK).stream("x"))


class TestAListingThatBreaks:
    def test_tells_each_object_once_and_leaves_none_out(self) -> None:
        for after in (0, 1, 700, 999):
            inner = BreakingStorage(after)
            for number in range(1000):
                inner.put(f"n/{number}", b"")
            told = [info.name for info in RetryingStorage(inner, QUICK).list("n")]
            assert sorted(told) == sorted(f"n/{number}" for number in range(1000))

    def test_fails_when_it_never_gets_further(self) -> None:
        inner = BreakingStorage(10, times=100)
        for number in range(20):
            inner.put(f"n/{number}", b"")
        told = []
        with pytest.raises(StorageUnreachableError, match="tried 6 times"):
            told.extend(RetryingStorage(inner, QUICK).list())  # keeps what came before the error
        assert len(told) == len(set(told)) == 10
