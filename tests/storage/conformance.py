"""What every storage must do.

A storage that keeps objects in a folder or in memory adds a class of `StorageConformance` with a `storage` fixture. One that
keeps them in a bucket adds a class of `BucketConformance` with a `settings` fixture, and one of `RefusalConformance` where its
emulator looks at credentials. `LockConformance` is for those whose emulator has locks.
"""

from __future__ import annotations

import string
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.errors import ObjectExistsError, ObjectLockedError, ObjectNotFoundError, SettingsError, StorageDeniedError
from holdfast.storage import Storage, StorageSettings, open_storage
from tests.storage.race import winners

MIB = 1 << 20

# Every way to use a storage, each on an object `x`.
USES: dict[str, Callable[[Storage], object]] = {
    "put": lambda storage: storage.put("x", b"1"),
    "put bulk": lambda storage: storage.put("x", b"1", bulk=True),
    "put large": lambda storage: storage.put("x", bytes(11 * MIB)),
    "replace": lambda storage: storage.put("x", b"1", replace=True),
    "get": lambda storage: storage.get("x"),
    "get_range": lambda storage: storage.get_range("x", 0, 1),
    "get no range": lambda storage: storage.get_range("x", 0, 0),
    "stream": lambda storage: list(storage.stream("x")),
    "head": lambda storage: storage.head("x"),
    "list": lambda storage: list(storage.list()),
    "list a folder": lambda storage: list(storage.list("a")),
    "delete": lambda storage: storage.delete("x"),
    "locked_until": lambda storage: storage.locked_until("x"),
    "clock": lambda storage: storage.clock(),
}
each_use = pytest.mark.parametrize("use", USES.values(), ids=USES)


class StorageConformance:
    """The suite. `storage` is empty when a test begins."""

    large_bytes = 11 * MIB + 7
    """What the storage sends in parts, where it does that; a `storage` fixture may set its threshold lower to be quick."""

    many = 5100
    """How many objects a listing is tried with: more than 5,000, the longest page of any service. Once for each is enough."""

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
        won = winners(lambda number: storage.put("race", bytes([number]) * MIB), 8)
        assert len(won) == 1
        assert storage.get("race") == bytes(won) * MIB

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
        names = {f"many/{number % 16:x}/{number}" for number in range(self.many)}
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda name: storage.put(name, b""), names))
        found = [info.name for info in storage.list("many")]
        assert len(found) == len(names), "none twice"
        assert set(found) == names
        assert len(list(storage.list("many/f"))) == self.many // 16

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

    def test_every_character_that_a_name_may_have_is_kept(self, storage: Storage) -> None:
        legal = string.ascii_letters + string.digits + "._-"
        names = {legal, *(f"at/{c}x" for c in legal), *(f"at/x{c}" for c in legal), *(f"in/{c}c/x" for c in legal)}
        names |= {"/".join("deep" for _ in range(20)), f"long/{'x' * 200}/{'y' * 200}"}
        for name in names:
            storage.put(name, name.encode(), bulk=True)
        assert {info.name for info in storage.list()} == names
        for name in names:
            assert storage.get(name) == name.encode()
        for name in names:
            storage.delete(name)
        assert not list(storage.list())

    def test_bulk_objects_are_objects_like_others(self, storage: Storage) -> None:
        storage.put("chunks/x", b"1", bulk=True)
        with pytest.raises(ObjectExistsError, match="chunks/x"):
            storage.put("chunks/x", b"2", bulk=True)
        storage.put("chunks/x", b"33", bulk=True, replace=True)
        assert storage.get("chunks/x") == b"33"
        assert [(info.name, info.size_bytes) for info in storage.list("chunks")] == [("chunks/x", 2)]
        storage.delete("chunks/x")
        assert storage.head("chunks/x") is None

    def test_a_large_object_is_kept_whole(self, storage: Storage) -> None:
        data = _numbered(self.large_bytes)
        storage.put("large", bytearray(data), bulk=True)
        assert storage.get("large") == data
        assert b"".join(storage.stream("large")) == data
        assert storage.get_range("large", len(data) - 3, 9) == data[-3:]
        assert storage.get_range("large", 5 * MIB - 2, 4) == data[5 * MIB - 2 : 5 * MIB + 2]
        assert [(info.name, info.size_bytes) for info in storage.list()] == [("large", len(data))]
        storage.put("large", memoryview(data)[1:], replace=True)
        assert storage.get("large") == data[1:]
        storage.delete("large")
        assert storage.head("large") is None

    def test_a_large_object_never_overwrites_another_by_accident(self, storage: Storage) -> None:
        storage.put("small", b"1")
        storage.put("large", bytes(self.large_bytes))
        for name in ("small", "large"):
            with pytest.raises(ObjectExistsError, match=name):
                storage.put(name, b"x" * self.large_bytes)
        with pytest.raises(ObjectExistsError, match="large"):
            storage.put("large", b"1")
        assert storage.get("small") == b"1"
        assert storage.get("large") == bytes(self.large_bytes)
        assert len(list(storage.list())) == 2

    def test_of_many_that_put_the_same_large_object_at_once_exactly_one_wins(self, storage: Storage) -> None:
        won = winners(lambda number: storage.put("race", bytes([number]) * self.large_bytes), 4)
        assert len(won) == 1
        assert storage.get("race") == bytes(won) * self.large_bytes

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


class BucketConformance(StorageConformance):
    """What a storage in a bucket must do besides. `settings` names an empty bucket that can be used."""

    _settings: StorageSettings
    _open: ExitStack

    @pytest.fixture
    def settings(self) -> StorageSettings:
        raise NotImplementedError

    def opened(self, settings: StorageSettings) -> Storage:
        """Open a storage; the test need not close it."""
        storage = open_storage(settings)
        self._open.callback(storage.close)
        return storage

    @pytest.fixture(autouse=True)
    def _closed_in_the_end(self, settings: StorageSettings) -> Iterator[None]:
        self._settings = settings
        with ExitStack() as self._open:
            yield

    @pytest.fixture
    def storage(self, settings: StorageSettings) -> Storage:
        return self.opened(settings)

    def reopened(self, storage: Storage) -> Storage:
        return self.opened(self._settings)

    def test_storages_below_different_prefixes_do_not_see_each_other(self, settings: StorageSettings) -> None:
        prefixes = ("back", "backup", "backup-2", "some/backup", "BACKUP")
        storages = [self.opened(settings.model_copy(update={"prefix": prefix})) for prefix in prefixes]
        assert len({storage.location for storage in storages}) == len(prefixes)
        for storage in storages:
            storage.put("a/x", storage.location.encode())
        for storage in storages:
            assert [info.name for info in storage.list()] == ["a/x"]
            assert [info.name for info in storage.list("a")] == ["a/x"]
            assert storage.get("a/x") == storage.location.encode()
        storages[0].delete("a/x")
        assert [len(list(storage.list())) for storage in storages] == [0, 1, 1, 1, 1]
        whole = self.opened(settings)
        assert {info.name for info in whole.list()} == {f"{prefix}/a/x" for prefix in prefixes[1:]}

    def test_slashes_around_a_prefix_mean_nothing(self, settings: StorageSettings) -> None:
        storages = [self.opened(settings.model_copy(update={"prefix": prefix})) for prefix in ("a/b", "/a/b/", "a/b/")]
        storages[0].put("x", b"1")
        assert [storage.get("x") for storage in storages] == [b"1"] * 3
        assert len({storage.location for storage in storages}) == 1
        assert self.opened(settings).get("a/b/x") == b"1"

    @pytest.mark.parametrize("prefix", ["a//b", "../up", "a b", "a/./b", "ä"])
    def test_a_prefix_that_can_not_be_one_is_refused(self, settings: StorageSettings, prefix: str) -> None:
        with pytest.raises(SettingsError, match="BACKUP_STORAGE_PREFIX"):
            self.opened(settings.model_copy(update={"prefix": prefix}))

    @each_use
    def test_a_bucket_that_does_not_exist_is_no_missing_object(
        self, settings: StorageSettings, use: Callable[[Storage], object]
    ) -> None:
        storage = self.opened(settings.model_copy(update={"bucket": "nobody-made-this"}))
        with pytest.raises(SettingsError, match=r"no bucket 'nobody-made-this'.*BACKUP_STORAGE_BUCKET") as caught:
            use(storage)
        assert storage.location in str(caught.value)

    @pytest.mark.parametrize("bucket", [None, "", "with/folder"])
    def test_a_bucket_that_can_not_be_one_names_the_setting(self, settings: StorageSettings, bucket: str | None) -> None:
        with pytest.raises(SettingsError, match="BACKUP_STORAGE_BUCKET"):
            self.opened(settings.model_copy(update={"bucket": bucket}))

    def test_no_secret_shows_where_it_is(self, settings: StorageSettings, storage: Storage) -> None:
        shown = f"{storage.location} {storage!r} {settings!r}"
        for secret in (settings.secret_key, settings.session_token, settings.connection_string):
            assert secret is None or secret.get_secret_value() not in shown
        assert (settings.bucket or "none") in storage.location


class RefusalConformance:
    """What a storage must say of credentials that its service refuses. `refused` is opened with such."""

    @pytest.fixture
    def refused(self) -> Storage:
        raise NotImplementedError

    @each_use
    def test_credentials_that_are_refused_are_said_to_be(self, refused: Storage, use: Callable[[Storage], object]) -> None:
        with pytest.raises(StorageDeniedError, match="not allowed to") as caught:
            use(refused)
        assert refused.location in str(caught.value)
        assert len(str(caught.value)) < 600


class LockConformance:
    """What a storage with locks must do. `locking` is empty, and its `immutable_days` are 1 or more."""

    @pytest.fixture
    def locking(self) -> Storage:
        raise NotImplementedError

    def test_what_is_locked_is_not_deleted_before_its_time(self, locking: Storage) -> None:
        locking.put("chunks/x", b"precious")
        assert locking.locked_until("chunks/x") is None
        until = _in_days(2)
        locking.lock("chunks/x", until)
        assert locking.locked_until("chunks/x") == until
        with pytest.raises(ObjectLockedError, match=r"chunks/x") as caught:
            locking.delete("chunks/x")
        assert locking.location in str(caught.value)
        assert locking.get("chunks/x") == b"precious"
        assert [info.name for info in locking.list()] == ["chunks/x"]

    def test_a_lock_is_made_longer_and_never_shorter(self, locking: Storage) -> None:
        locking.put("x", b"1")
        for days, expected in ((3, 3), (2, 3), (5, 5)):
            locking.lock("x", _in_days(days))
            assert locking.locked_until("x") == _in_days(expected)

    def test_what_is_not_locked_is_deleted_and_replaced_as_ever(self, locking: Storage) -> None:
        for data in (b"1", b"2", b"3"):
            locking.put("leases/1", data, replace=True)
        assert locking.get("leases/1") == b"3"
        locking.delete("leases/1")
        assert locking.head("leases/1") is None
        assert not list(locking.list())
        locking.delete("leases/1")
        locking.put("leases/1", b"4")
        assert locking.get("leases/1") == b"4"

    def test_a_large_object_is_locked_like_others(self, locking: Storage) -> None:
        locking.put("large", bytes(11 * MIB))
        locking.lock("large", _in_days(2))
        with pytest.raises(ObjectLockedError):
            locking.delete("large")

    def test_a_lock_that_is_over_holds_nothing_back(self, locking: Storage) -> None:
        locking.put("x", b"1")
        until = locking.clock() + timedelta(seconds=4)  # on a busy machine a second is soon over
        locking.lock("x", until)
        with pytest.raises(ObjectLockedError):
            locking.delete("x")
        while locking.clock() <= until + timedelta(seconds=1):  # some clocks tell whole seconds
            threading.Event().wait(0.1)
        locking.delete("x")
        assert locking.head("x") is None

    def test_an_object_that_is_not_there_can_not_be_locked(self, locking: Storage) -> None:
        with pytest.raises(ObjectNotFoundError, match="no/such"):
            locking.lock("no/such", _in_days(1))
        assert locking.locked_until("no/such") is None

    def test_names_that_begin_alike_are_locked_each_for_itself(self, locking: Storage) -> None:
        for name in ("x", "x-y", "xy", "x.y"):
            locking.put(name, b"1")
        locking.lock("xy", _in_days(1))
        for name in ("x", "x-y", "x.y"):
            assert locking.locked_until(name) is None
            locking.delete(name)
        assert [info.name for info in locking.list()] == ["xy"]


def _numbered(size: int) -> bytes:
    return b"".join(number.to_bytes(4, "big") for number in range(size // 4 + 1))[:size]


_NOW = datetime.now(UTC).replace(microsecond=0)


def _in_days(days: int) -> datetime:
    """A time in whole seconds: not every service keeps less."""
    return _NOW + timedelta(days=days)
