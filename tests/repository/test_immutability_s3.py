"""Immutable backups in a real bucket with Object Lock: what S3 itself refuses to give up, whoever asks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from holdfast.errors import ObjectLockedError, SettingsError, StorageUnreachableError, WrongKeyError
from holdfast.repository import Repository, UserKey, names
from holdfast.storage import ObjectInfo, StorageSettings, open_storage
from holdfast.storage.probe import probe
from holdfast.storage.wrapped import WrappedStorage
from tests.storage.servers import moto_server

from .locking import chunks, fail_to_commit, lock_of, needed_chunks
from .making import back_up, noise, read_all

MIB = 1 << 20
DAY = timedelta(days=1)
DAYS = 8  # so the slack is two days


class Later(WrappedStorage):
    """A storage whose clock a test can put forward, what is stored staying as old as it is; and that can stop answering."""

    ahead = timedelta()
    accepts_manifests = True

    def put(self, name: str, data: bytes | bytearray | memoryview, *, replace: bool = False, bulk: bool = False) -> None:
        if name.startswith("manifests/") and not self.accepts_manifests:
            raise StorageUnreachableError("gone")
        super().put(name, data, replace=replace, bulk=bulk)

    def head(self, name: str) -> ObjectInfo | None:
        info = super().head(name)
        passing = name.startswith(("leases/", "clock/"))
        return info and ObjectInfo(name, info.size_bytes, info.modified + (self.ahead if passing else timedelta()))


@pytest.fixture
def settings() -> StorageSettings:
    return moto_server().new_storage(object_lock=True).model_copy(update={"immutable_days": DAYS})


@pytest.fixture
def storage(settings: StorageSettings) -> Iterator[Later]:
    opened = Later(open_storage(settings))
    yield opened
    opened.close()


@pytest.fixture
def bucket(settings: StorageSettings) -> Iterator[Bucket]:
    found = Bucket(settings)
    yield found
    found.client.close()


@pytest.fixture
def repository(storage: Later, key: UserKey) -> Repository:
    return Repository.create(storage, key=key)


class Bucket:
    """The bucket as somebody sees it who has its credentials and no wish to keep backups."""

    def __init__(self, settings: StorageSettings) -> None:
        import boto3

        assert settings.access_key is not None
        assert settings.secret_key is not None
        assert settings.bucket is not None
        self.name = settings.bucket
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=settings.endpoint,
            region_name=settings.region,
            aws_access_key_id=settings.access_key.get_secret_value(),
            aws_secret_access_key=settings.secret_key.get_secret_value(),
        )

    def versions(self, prefix: str) -> list[dict[str, Any]]:
        pages = self.client.get_paginator("list_object_versions").paginate(Bucket=self.name, Prefix=prefix)
        return [dict(version) for page in pages for version in page.get("Versions", [])]

    def is_kept(self, version: dict[str, Any]) -> bool:
        """Try to delete a version for good, even with a right to pass governance; tell whether the bucket refused."""
        try:
            self.client.delete_object(
                Bucket=self.name, Key=version["Key"], VersionId=version["VersionId"], BypassGovernanceRetention=True
            )
        except self.client.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == "AccessDenied"  # noqa: PT017  the refusal is what is looked for
            return True
        return False


def test_no_version_of_what_a_backup_needs_can_be_deleted_and_what_is_hidden_comes_back(
    repository: Repository, storage: Later, bucket: Bucket
) -> None:
    manifest = back_up(repository, "backup_1", {"a": noise(1, 6 * MIB)})
    needed = {*needed_chunks(repository, manifest), "repository.json", "manifests/database/backup_1"}
    needed |= {info.name for info in storage.list("keys")}
    for name in needed:
        assert all(bucket.is_kept(version) for version in bucket.versions(name)), name
    for name in needed:  # without a version S3 only puts a marker on top, which hides the object
        marker = bucket.client.delete_object(Bucket=bucket.name, Key=name)
        assert storage.head(name) is None
        bucket.client.delete_object(Bucket=bucket.name, Key=name, VersionId=marker["VersionId"])
    assert repository.check().ok
    assert read_all(repository, manifest) == {"a": noise(1, 6 * MIB)}


def test_prune_spares_what_is_locked_and_says_so_and_a_failed_runs_chunks_are_not(
    repository: Repository, storage: Later, bucket: Bucket
) -> None:
    storage.accepts_manifests = False
    with pytest.raises(StorageUnreachableError):  # it dies when its chunks are locked, and before anybody refers to them
        back_up(repository, "backup_1", {"a": noise(1, 2 * MIB)})
    storage.accepts_manifests = True
    with repository.lease("the next one's", exclusive=True, wait_seconds=5):  # S3 tells time in seconds; so does a dead lease
        pass
    locked = chunks(storage)
    fail_to_commit(repository, noise(2, 2 * MIB))
    failed = chunks(storage) - locked
    assert failed
    assert all(storage.locked_until(name) is None for name in failed)
    dry, wet = (repository.prune(grace_seconds=0, dry_run=dry) for dry in (True, False))
    assert chunks(storage) == locked
    for report in (dry, wet):
        assert report.chunks_deleted == len(failed)
        assert report.chunks_locked == len(locked)
        assert report.locked_until == min(lock_of(storage, name) for name in locked)
    assert all(bucket.is_kept(version) for name in locked for version in bucket.versions(name))
    assert not any(bucket.is_kept(version) for name in failed for version in bucket.versions(name))


def test_a_locked_backup_can_not_be_forgotten(repository: Repository, storage: Later, bucket: Bucket) -> None:
    manifest = back_up(repository, "backup_1", {"a": b"precious"})
    with pytest.raises(ObjectLockedError, match=f"backup_1.*{lock_of(storage, 'manifests/database/backup_1'):%Y-%m-%d}"):
        repository.forget("backup_1")
    assert read_all(repository, manifest) == {"a": b"precious"}
    assert repository.check().ok
    assert bucket.versions("manifests/database/backup_1")


def test_reused_chunks_are_locked_again_once_their_locks_are_too_short(repository: Repository, storage: Later) -> None:
    same = noise(1, 2 * MIB)
    first = back_up(repository, "backup_1", {"a": same})
    ends = {name: lock_of(storage, name) for name in needed_chunks(repository, first)}
    second = back_up(repository, "backup_2", {"a": same})
    assert {name: lock_of(storage, name) for name in ends} == ends
    assert second.parameters["locked_until"] == first.parameters["locked_until"]
    storage.ahead += 2 * DAY + timedelta(hours=1)
    back_up(repository, "backup_3", {"a": same})
    for name in ends:
        assert lock_of(storage, name) >= datetime.now(UTC) + 12 * DAY


def test_a_key_is_removed_though_its_file_is_locked(repository: Repository, storage: Later, bucket: Bucket, key: UserKey) -> None:
    back_up(repository, "backup_1", {"a": b"1"})
    old = repository.keys.current_id
    assert old is not None
    other = UserKey.parse("22" * 32)
    repository.keys.rotate(other)
    with pytest.raises(WrongKeyError):
        Repository.open(storage, key=key)
    assert read_all(Repository.open(storage, key=other), repository.manifest("backup_1")) == {"a": b"1"}
    assert len(bucket.versions(names.key(old))) == 2
    assert all(bucket.is_kept(version) for version in bucket.versions(names.key(old))), "neither it nor its removal is undone"


def test_a_damaged_chunk_is_stored_afresh_and_locked_though_the_old_version_stays(
    repository: Repository, storage: Later, bucket: Bucket, key: UserKey
) -> None:
    first = back_up(repository, "backup_1", {"a": b"precious"})
    (name,) = needed_chunks(repository, first)
    bucket.client.put_object(Bucket=bucket.name, Key=name, Body=b"garbage on top")
    assert not repository.check(set_aside=True).ok
    back_up(Repository.open(storage, key=key), "backup_2", {"a": b"precious"})
    assert repository.check().ok
    assert lock_of(storage, name) > datetime.now(UTC) + 9 * DAY
    assert len(bucket.versions(name)) == 3


def test_a_bucket_without_object_lock_is_refused_before_anything_is_uploaded(key: UserKey) -> None:
    settings = moto_server().new_storage().model_copy(update={"immutable_days": DAYS})
    storage = open_storage(settings)
    try:
        repository = Repository.create(storage, key=key)
        with pytest.raises(SettingsError, match=r"(?i)lock"):
            fail_to_commit(repository, b"1")
        assert chunks(storage) == set()
        report = probe(storage, size_bytes=MIB)
        assert isinstance(report.error, SettingsError)
        assert list(storage.list("probe")) == []
    finally:
        storage.close()


def test_a_probe_tries_the_bucket_lock_and_leaves_no_object(storage: Later) -> None:
    report = probe(storage, size_bytes=MIB)
    assert report.ok, report.error
    assert report.lock == "kept by the service"
    assert list(storage.list("probe")) == []
