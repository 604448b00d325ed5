"""What every storage must do. A new storage adds a class with a `storage` fixture, and nothing else.

`StorageConformance.reopened` may be overridden where another instance can look at the same objects.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.errors import ObjectExistsError, ObjectNotFoundError, SettingsError
from holdfast.storage import Storage

MIB = 1 << 20


class StorageConformance:
    """The suite. `storage` is empty when a test begins."""

    @pytest.fixture
    def storage(self) -> Storage:
        raise NotImplementedError

    def reopened(self, storage: Storage) -> Storage:
        """Return another instance that sees the same objects, or the same one where there is no other way."""
        return storage

    def test_what_is_put_is_what_is_read(self, storage: Storage) -> None:
        for size in (0, 1, 4096, 5 * MIB + 3):
            data = bytes(range(256)) * (size // 256 + 1)
            storage.put(f"a/{size}", data[:size])
            assert storage.get(f"a/{size}") == data[:size]

    @pytest.mark.parametrize("make", [bytes, bytearray, memoryview])
    def test_any_kind_of_bytes_can_be_put(self, storage: Storage, make: Callable[[bytes], bytes]) -> None:
        storage.put("x", make(b"abc"))
        assert storage.get("x") == b"abc"

    def test_a_buffer_may_be_used_again_once_put_has_returned(self, storage: Storage) -> None:
        buffer = bytearray(b"first")
        storage.put("x", buffer)
        buffer[:] = b"other"
        assert storage.get("x") == b"first"

    def test_an_object_is_never_overwritten_by_accident(self, storage: Storage) -> None:
        storage.put("x", b"first")
        with pytest.raises(ObjectExistsError, match="x"):
            storage.put("x", b"second")
        assert storage.get("x") == b"first"

    def test_an_object_is_overwritten_on_purpose(self, storage: Storage) -> None:
        storage.put("x", b"first and longer", replace=True)
        storage.put("x", b"second", replace=True)
        assert storage.get("x") == b"second"

    def test_of_many_that_put_the_same_name_at_once_exactly_one_wins(self, storage: Storage) -> None:
        start = threading.Barrier(8)

        def put(number: int) -> int | None:
            start.wait()
            try:
                storage.put("race", bytes([number]) * MIB)
            except ObjectExistsError:
                return None
            return number

        with ThreadPoolExecutor(8) as pool:
            winners = [number for number in pool.map(put, range(8)) if number is not None]
        assert len(winners) == 1
        assert storage.get("race") == bytes(winners) * MIB

    def test_a_missing_object_is_named_with_its_storage(self, storage: Storage) -> None:
        for read in (storage.get, lambda name: storage.get_range(name, 0, 1), lambda name: list(storage.stream(name))):
            with pytest.raises(ObjectNotFoundError, match="no/such") as caught:
                read("no/such")
            assert storage.location in str(caught.value)
        assert storage.head("no/such") is None

    def test_a_range_gives_the_bytes_there_are(self, storage: Storage) -> None:
        storage.put("x", b"0123456789")
        assert storage.get_range("x", 0, 10) == b"0123456789"
        assert storage.get_range("x", 3, 4) == b"3456"
        assert storage.get_range("x", 8, 100) == b"89"
        assert storage.get_range("x", 10, 5) == b""
        assert storage.get_range("x", 99, 5) == b""
        assert storage.get_range("x", 3, 0) == b""

    def test_a_stream_gives_every_byte_in_order(self, storage: Storage) -> None:
        data = b"".join(number.to_bytes(4, "big") for number in range(MIB))
        storage.put("x", data)
        parts = list(storage.stream("x", part_bytes=256 << 10))
        assert b"".join(parts) == data
        assert len(parts) > 1
        storage.put("empty", b"")
        assert b"".join(storage.stream("empty")) == b""

    def test_head_tells_size_and_the_storages_own_time(self, storage: Storage) -> None:
        storage.put("a/b", b"12345")
        info = storage.head("a/b")
        assert info is not None
        assert (info.name, info.size_bytes) == ("a/b", 5)
        assert info.modified.tzinfo is not None
        assert abs(info.modified - datetime.now(UTC)) < timedelta(minutes=5)

    def test_a_replaced_object_is_not_older_than_it_was(self, storage: Storage) -> None:
        storage.put("x", b"1")
        first = storage.head("x")
        storage.put("x", b"2", replace=True)
        second = storage.head("x")
        assert first is not None
        assert second is not None
        assert second.modified >= first.modified

    def test_the_clock_is_the_one_of_the_objects_and_leaves_nothing(self, storage: Storage) -> None:
        storage.put("x", b"")
        info = storage.head("x")
        assert info is not None
        assert storage.clock() >= info.modified
        assert [found.name for found in storage.list()] == ["x"]

    def test_a_listing_has_every_object_below_a_folder_and_no_other(self, storage: Storage) -> None:
        names = {"a", "b/1", "b/2", "b/c/3", "bb/4", "c/5"}
        for name in names:
            storage.put(name, name.encode())
        assert {info.name for info in storage.list()} == names
        assert {info.name for info in storage.list("b")} == {"b/1", "b/2", "b/c/3"}
        assert {info.name for info in storage.list("b/c")} == {"b/c/3"}
        assert list(storage.list("nothing")) == []
        assert all(info.size_bytes == len(info.name) for info in storage.list())

    def test_a_listing_of_thousands_is_complete(self, storage: Storage) -> None:
        names = {f"many/{number % 16:x}/{number}" for number in range(2500)}
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda name: storage.put(name, b""), names))
        assert {info.name for info in storage.list("many")} == names

    def test_what_was_put_is_listed_and_what_was_deleted_is_not(self, storage: Storage) -> None:
        for number in range(20):
            storage.put(f"n/{number}", b"x")
            assert f"n/{number}" in {info.name for info in storage.list("n")}
            storage.delete(f"n/{number}")
            assert not list(storage.list("n"))

    def test_deleting_what_is_not_there_is_no_error(self, storage: Storage) -> None:
        storage.delete("never/was")
        storage.put("x", b"1")
        storage.delete("x")
        storage.delete("x")
        storage.put("x", b"2")
        assert storage.get("x") == b"2"

    def test_listing_goes_on_while_objects_come_and_go(self, storage: Storage) -> None:
        for number in range(200):
            storage.put(f"stay/{number}", b"x")
        over = threading.Event()

        def churn() -> None:
            number = 0
            while not over.is_set():
                storage.put(f"stay/passing-{number % 50}", b"y", replace=True)
                storage.delete(f"stay/passing-{number % 50}")
                number += 1

        with ThreadPoolExecutor(2) as pool:
            churning = [pool.submit(churn) for _ in range(2)]
            try:
                for _ in range(20):
                    found = {info.name for info in storage.list("stay")}
                    assert {f"stay/{number}" for number in range(200)} <= found
            finally:
                over.set()
            for future in churning:
                future.result()

    def test_an_object_that_is_replaced_is_always_read_whole(self, storage: Storage) -> None:
        storage.put("x", b"\0" * MIB)
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(lambda: [storage.put("x", bytes([n]) * MIB, replace=True) for n in range(50)])
            while not writing.done():
                data = storage.get("x")
                assert data == data[:1] * MIB

    @pytest.mark.parametrize(
        "name",
        ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", "a/.", "a b", "a#1", "a\\b", "a\nb", "é", "a%2fb", "a:b"],
    )
    def test_a_name_that_not_every_storage_keeps_as_it_is_is_refused(self, storage: Storage, name: str) -> None:
        for use in (
            lambda: storage.put(name, b""),
            lambda: storage.get(name),
            lambda: storage.head(name),
            lambda: storage.delete(name),
        ):
            with pytest.raises(SettingsError, match="can't be the name"):
                use()
        assert not list(storage.list())

    def test_names_with_dots_and_dashes_are_kept(self, storage: Storage) -> None:
        for name in ("repository.json", "a/..b", "a/b..", "a/.b", "a/-", "A/_", "a/" + "x" * 200):
            storage.put(name, b"1")
            assert storage.get(name) == b"1"

    def test_sync_and_tidy_leave_every_object_as_it_is(self, storage: Storage) -> None:
        for number in range(50):
            storage.put(f"s/{number}", bytes([number]))
        storage.delete("s/7")
        storage.sync()
        storage.sync()
        storage.tidy(datetime.now(UTC) + timedelta(days=1))
        again = self.reopened(storage)
        assert {info.name: again.get(info.name) for info in again.list()} == {
            f"s/{number}": bytes([number]) for number in range(50) if number != 7
        }
