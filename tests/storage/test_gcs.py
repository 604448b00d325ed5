"""Google Cloud Storage keeps the contract, as gcp-storage-emulator shows it (what that lacks: `emulators/gcs.py`)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest
from google.api_core.exceptions import Forbidden
from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Client
from requests import Response

from holdfast.errors import (
    ObjectExistsError,
    ObjectLockedError,
    ObjectNotFoundError,
    SettingsError,
    StorageDeniedError,
    StorageUnreachableError,
)
from holdfast.storage import Storage, StorageSettings
from holdfast.storage.gcs import GcsStorage
from holdfast.storage.gcs_errors import translated
from tests.storage.conformance import BucketConformance, LockConformance, StorageConformance
from tests.storage.race import winners
from tests.storage.servers import Server, own_server

MIB = 1 << 20
IN_PARTS = 9 * MIB  # from 8 MiB on Google's client uploads in a session of several requests


class TestGcsStorage(BucketConformance):
    many = 2100  # more than two pages of it

    @pytest.fixture
    def settings(self, gcs: Server) -> StorageSettings:
        return gcs.new_storage()


class TestGcsLocks(LockConformance):
    @pytest.fixture
    def locking(self, locking: GcsStorage) -> Storage:
        return locking


class TestGcsStorageBelowAPrefix(StorageConformance):
    many = 1100  # more than a page of it

    @pytest.fixture
    def storage(self, gcs: Server) -> Iterator[Storage]:
        with closing(GcsStorage(gcs.new_storage().model_copy(update={"prefix": "some/folder"}))) as storage:
            yield storage


@pytest.fixture
def settings(gcs: Server) -> StorageSettings:
    """Name an empty bucket."""
    return gcs.new_storage()


@pytest.fixture
def storage(settings: StorageSettings) -> Iterator[GcsStorage]:
    with closing(GcsStorage(settings)) as storage:
        yield storage


@pytest.fixture
def locking(gcs: Server) -> Iterator[GcsStorage]:
    """A storage in a bucket whose objects can be locked, with locking asked for."""
    with closing(GcsStorage(gcs.new_storage(object_lock=True).model_copy(update={"immutable_days": 7}))) as storage:
        yield storage


@contextmanager
def googles_own_client(settings: StorageSettings) -> Iterator[Client]:
    """Look at the bucket without the storage."""
    with Client("tests", AnonymousCredentials(), client_options={"api_endpoint": settings.endpoint}) as client:
        yield client


def test_a_large_object_is_stored_whole_and_never_over_another(storage: GcsStorage) -> None:
    data = bytes(range(256)) * (40 * MIB // 256) + b"end"
    storage.put("large", data)
    with pytest.raises(ObjectExistsError, match="large"):
        storage.put("large", b"x" * IN_PARTS)
    assert storage.get("large") == data
    assert storage.get_range("large", 40 * MIB, 100) == b"end"
    storage.put("large", b"y" * IN_PARTS, replace=True)
    assert b"".join(storage.stream("large")) == b"y" * IN_PARTS


def test_of_many_that_put_the_same_large_object_at_once_exactly_one_wins(storage: GcsStorage) -> None:
    won = winners(lambda number: storage.put("race", bytes([number]) * IN_PARTS), 4)
    assert len(won) == 1
    assert storage.get("race") == bytes(won) * IN_PARTS


@pytest.mark.parametrize(
    "use",
    [
        lambda storage: storage.put("x", b"1"),
        lambda storage: storage.put("x", b"1" * IN_PARTS),
        lambda storage: storage.get("x"),
        lambda storage: storage.get_range("x", 0, 1),
        lambda storage: list(storage.stream("x")),
        lambda storage: storage.head("x"),
        lambda storage: list(storage.list()),
        lambda storage: storage.delete("x"),
        lambda storage: storage.locked_until("x"),
    ],
)
def test_a_bucket_that_does_not_exist_is_no_missing_object(settings: StorageSettings, use: Callable[[Storage], object]) -> None:
    missing = settings.model_copy(update={"bucket": "nobody-made-this"})
    told = r"no bucket 'nobody-made-this'.*BACKUP_STORAGE_BUCKET"
    with closing(GcsStorage(missing)) as storage, pytest.raises(SettingsError, match=told):
        use(storage)


@pytest.mark.parametrize("wrong", [None, "", "-", "No Bucket"])
def test_a_bucket_that_can_not_be_one_names_the_setting(settings: StorageSettings, wrong: str | None) -> None:
    with pytest.raises(SettingsError, match=r"BACKUP_STORAGE_BUCKET|'No Bucket'"):
        _ = [*GcsStorage(settings.model_copy(update={"bucket": wrong})).list()]


def test_a_server_that_is_gone_is_unreachable_and_every_error_names_the_object() -> None:
    with own_server("gcs") as server, closing(GcsStorage(server.new_storage())) as storage:
        storage.put("x", b"1")
        server.stop()
        for use in (storage.get, storage.head, storage.delete, lambda name: storage.put(name, b"2")):
            with pytest.raises(StorageUnreachableError, match="'x'"):
                use("x")


def test_what_others_keep_in_the_bucket_is_not_listed(settings: StorageSettings, storage: GcsStorage) -> None:
    storage.put("ours", b"1")
    with googles_own_client(settings) as client:
        for name in ("folder/", "a b", "ours#1", "é"):
            client.bucket(settings.bucket).blob(name).upload_from_string(b"")
    assert [info.name for info in storage.list()] == ["ours"]


def test_only_bulk_objects_get_the_storage_class(settings: StorageSettings) -> None:
    with closing(GcsStorage(settings.model_copy(update={"storage_class": "COLDLINE"}))) as storage:
        storage.put("chunks/1", b"1", bulk=True)
        storage.put("chunks/2", b"2" * IN_PARTS, bulk=True)
        storage.put("backups/1", b"3")
        assert storage.get("chunks/1") == b"1"
    with googles_own_client(settings) as client:
        found = {blob.name: blob.storage_class for blob in client.list_blobs(settings.bucket)}
    assert found == {"chunks/1": "COLDLINE", "chunks/2": "COLDLINE", "backups/1": "STANDARD"}


def test_a_storage_class_that_is_none_is_refused_when_the_storage_is_opened(settings: StorageSettings) -> None:
    with pytest.raises(SettingsError, match=r"'GLACIER'.*NEARLINE"):
        GcsStorage(settings.model_copy(update={"storage_class": "GLACIER"}))


def test_a_locked_object_can_be_read_and_not_deleted_or_overwritten(locking: GcsStorage) -> None:
    locking.put("x", b"1")
    stored = locking.head("x")
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=7)
    locking.lock("x", until)
    for change in (lambda: locking.delete("x"), lambda: locking.put("x", b"2", replace=True)):
        with pytest.raises(ObjectLockedError, match="'x'"):
            change()
    assert locking.get("x") == b"1"
    assert locking.head("x") == stored, "the lock made another object of it"
    assert locking.locked_until("x") == until


def test_a_lock_is_made_longer_and_never_shorter(locking: GcsStorage) -> None:
    locking.put("x", b"1")
    now = datetime.now(UTC).replace(microsecond=0)
    for days, kept in ((2, 2), (5, 5), (3, 5)):
        locking.lock("x", now + timedelta(days=days))
        assert locking.locked_until("x") == now + timedelta(days=kept)


def test_a_lock_that_has_ended_holds_nothing_back(locking: GcsStorage) -> None:
    locking.put("x", b"1")
    locking.lock("x", datetime.now(UTC) + timedelta(seconds=1))
    while locking.head("x") is not None:
        with suppress(ObjectLockedError):
            locking.delete("x")


def test_what_is_not_there_can_not_be_locked_and_is_not(locking: GcsStorage) -> None:
    with pytest.raises(ObjectNotFoundError, match="'x'"):
        locking.lock("x", datetime.now(UTC) + timedelta(days=1))
    assert locking.locked_until("x") is None


def test_where_no_locking_is_asked_for_nothing_is_locked(gcs: Server) -> None:
    with closing(GcsStorage(gcs.new_storage(object_lock=True))) as storage:
        storage.put("x", b"1")
        storage.lock("x", datetime.now(UTC) + timedelta(days=1))
        assert storage.locked_until("x") is None


def test_a_bucket_without_object_retention_says_so(settings: StorageSettings) -> None:
    with closing(GcsStorage(settings.model_copy(update={"immutable_days": 7}))) as storage:
        storage.put("x", b"1")
        with pytest.raises(SettingsError, match=r"'x'.*can't be locked.*BACKUP_IMMUTABLE_DAYS=0"):
            storage.lock("x", datetime.now(UTC) + timedelta(days=7))


def test_who_keeps_backups_elsewhere_does_not_wait_for_googles_library() -> None:
    asking = "import sys, holdfast.storage; sys.exit(any(name.startswith('google.') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", asking], check=False).returncode == 0


@pytest.mark.parametrize(
    ("reason", "said", "expected"),
    [
        ("retentionPolicyNotMet", "Object is subject to bucket's retention policy until 2027", ObjectLockedError),
        ("forbidden", "retention-bot@x does not have storage.objects.get access to the object.", StorageDeniedError),
        ("forbidden", "Permission 'storage.objects.setRetention' denied on resource", StorageDeniedError),
    ],
)
def test_a_missing_right_is_not_taken_for_a_lock(reason: str, said: str, expected: type[Exception]) -> None:
    answer = Response()
    answer.status_code = 403
    answer._content = json.dumps({"error": {"message": said, "errors": [{"reason": reason}]}}).encode()
    assert type(translated(Forbidden(said, response=answer), "delete 'x'")) is expected
