"""S3 keeps the contract, as moto shows it, and does what is S3's alone: parts, classes, locks, AWS's ways to find credentials.

moto lacks, and so it is not shown here: that S3 itself refuses to shorten a lock (moto shortens it; we ask first), and when an
upload in parts was begun (moto tells 2010 of each). Its credentials are real where they are looked at: `guarded` checks
signatures and rights.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from pydantic import SecretStr

from holdfast.errors import ObjectNotFoundError, SettingsError, StorageDeniedError, StorageUnreachableError
from holdfast.storage import Storage, StorageSettings, open_storage
from holdfast.storage.s3 import S3Storage
from tests.storage.answering import answering
from tests.storage.conformance import MIB, BucketConformance, LockConformance, RefusalConformance
from tests.storage.servers import S3_KEY_ID, S3_SECRET, Server, own_server

PART = 5 * MIB  # the smallest that S3 takes


class TestS3Storage(BucketConformance):
    many = 2100  # more than two pages of it

    @pytest.fixture
    def settings(self, moto: Server) -> StorageSettings:
        return moto.new_storage()

    def opened(self, settings: StorageSettings) -> Storage:
        storage = S3Storage(settings, large_bytes=PART, part_bytes=PART)
        self._open.callback(storage.close)
        return storage


class TestS3StorageThatLocks(BucketConformance):
    """Where versions are kept, and deleted one by one."""

    many = 1100  # more than a page of it

    @pytest.fixture
    def settings(self, moto: Server) -> StorageSettings:
        return moto.new_storage(object_lock=True).model_copy(update={"immutable_days": 7})

    def opened(self, settings: StorageSettings) -> Storage:
        storage = S3Storage(settings, large_bytes=PART, part_bytes=PART)
        self._open.callback(storage.close)
        return storage


class TestS3Locks(LockConformance):
    @pytest.fixture
    def locking(self, moto: Server) -> Iterator[Storage]:
        settings = moto.new_storage(object_lock=True).model_copy(update={"immutable_days": 7, "prefix": "some/folder"})
        with closing(S3Storage(settings, large_bytes=PART, part_bytes=PART)) as storage:
            yield storage


@dataclass(frozen=True)
class Guarded:
    """A bucket of a server that checks signatures and rights, and who may do what there."""

    settings: StorageSettings  # without credentials
    owner: dict[str, str]
    reader: dict[str, str]

    def with_keys(self, keys: dict[str, str]) -> StorageSettings:
        access, secret = SecretStr(keys["AccessKeyId"]), SecretStr(keys["SecretAccessKey"])
        return self.settings.model_copy(update={"access_key": access, "secret_key": secret})


@pytest.fixture(scope="module")
def guarded() -> Iterator[Guarded]:
    with own_server("s3") as server:
        settings = server.new_storage().model_copy(update={"access_key": None, "secret_key": None})
        with closing(_client("iam", server.endpoint)) as iam:
            owner = _user(iam, "owner", "s3:*")
            reader = _user(iam, "reader", "s3:GetObject", "s3:ListBucket")
        address = f"{server.endpoint}/moto-api/reset-auth"  # from here on moto looks at who asks
        request = urllib.request.Request(address, b"0", {"Content-Type": "text/plain"}, method="POST")
        urllib.request.urlopen(request).close()
        yield Guarded(settings, owner, reader)


class TestS3Refuses(RefusalConformance):
    @pytest.fixture(params=["unknown key", "wrong secret", "unknown token"])
    def refused(self, request: pytest.FixtureRequest, guarded: Guarded) -> Iterator[Storage]:
        right = guarded.with_keys(guarded.owner)
        wrong = {
            "unknown key": {"access_key": SecretStr("AKIAUNKNOWN")},
            "wrong secret": {"secret_key": SecretStr("x" * 40)},
            "unknown token": {"access_key": SecretStr("ASIAUNKNOWN"), "session_token": SecretStr("canary")},
        }[request.param]
        settings = right.model_copy(update=wrong)
        with closing(S3Storage(settings, large_bytes=PART, part_bytes=PART)) as storage:
            yield storage


@pytest.fixture
def settings(moto: Server) -> StorageSettings:
    """Name an empty bucket."""
    return moto.new_storage()


@contextmanager
def bucket(settings: StorageSettings) -> Iterator[Any]:
    """Look at the server without the storage."""
    with closing(_client("s3", settings.endpoint or "")) as client:
        yield client


def _client(service: str, endpoint: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=S3_KEY_ID,
        aws_secret_access_key=S3_SECRET,
    )


def _user(iam: Any, name: str, *actions: str) -> dict[str, str]:
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    iam.create_user(UserName=name)
    iam.put_user_policy(
        UserName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statement})
    )
    found: dict[str, str] = iam.create_access_key(UserName=name)["AccessKey"]
    return found


def test_what_is_larger_than_32_mib_is_sent_in_parts(settings: StorageSettings) -> None:
    with closing(open_storage(settings)) as storage, bucket(settings) as client:
        for name, size in (("whole", 32 * MIB), ("parts", 32 * MIB + 1)):
            storage.put(name, b"x" * size)
            assert storage.get(name) == b"x" * size
        tags = {name: client.head_object(Bucket=settings.bucket, Key=name)["ETag"] for name in ("whole", "parts")}
    assert "-" not in tags["whole"]
    assert tags["parts"].endswith('-5"')


def test_only_bulk_objects_get_the_storage_class(settings: StorageSettings) -> None:
    chosen = settings.model_copy(update={"storage_class": "standard_ia"})
    with closing(S3Storage(chosen, large_bytes=PART, part_bytes=PART)) as storage, bucket(settings) as client:
        storage.put("manifest", b"1")
        storage.put("chunk", b"1", bulk=True)
        storage.put("large", bytes(6 * MIB), bulk=True)
        listed = client.list_objects_v2(Bucket=settings.bucket)["Contents"]
        assert {item["Key"]: item["StorageClass"] for item in listed} == {
            "manifest": "STANDARD",
            "chunk": "STANDARD_IA",
            "large": "STANDARD_IA",
        }
        assert storage.get("chunk") == b"1"


def test_a_class_that_can_not_be_read_at_once_is_refused(settings: StorageSettings) -> None:
    for frozen in ("GLACIER", "DEEP_ARCHIVE", "COLDLINE"):
        with pytest.raises(SettingsError, match=f"{frozen}.*STANDARD_IA"):
            open_storage(settings.model_copy(update={"storage_class": frozen}))


def test_an_object_that_somebody_moved_to_an_archive_is_said_to_be(settings: StorageSettings) -> None:
    with closing(S3Storage(settings)) as storage, bucket(settings) as client:
        client.put_object(Bucket=settings.bucket, Key="chunks/x", Body=b"1", StorageClass="GLACIER")
        assert storage.head("chunks/x") is not None
        with pytest.raises(StorageDeniedError, match=r"chunks/x.*archive"):
            storage.get("chunks/x")


def test_objects_of_others_are_not_listed_or_named(settings: StorageSettings) -> None:
    below = settings.model_copy(update={"prefix": "ours"})
    with closing(S3Storage(below)) as storage, bucket(settings) as client:
        storage.put("a/x", b"1")
        for key in ("ours/", "ours/read me.txt", "ours/ü", "oursnot/x", "x"):
            client.put_object(Bucket=settings.bucket, Key=key, Body=b"")
        assert [info.name for info in storage.list()] == ["a/x"]
        client.put_object(Bucket=settings.bucket, Key="ours/a/", Body=b"")  # what the console calls a folder
        assert [info.name for info in storage.list("a")] == ["a/x"]
        client.put_object(Bucket=settings.bucket, Key="ours/a//x", Body=b"")
        with pytest.raises(SettingsError, match=r"not ours.*Remove that object"):
            list(storage.list())


def test_what_is_deleted_in_a_bucket_with_locks_is_gone_with_all_its_versions(moto: Server) -> None:
    settings = moto.new_storage(object_lock=True).model_copy(update={"immutable_days": 7})
    with closing(S3Storage(settings)) as storage, bucket(settings) as client:
        for data in (b"1", b"2", b"3"):
            storage.put("leases/x", data, replace=True)
        storage.put("leases/x-other", b"1")
        storage.delete("leases/x")
        found = client.list_object_versions(Bucket=settings.bucket)
        assert [version["Key"] for version in found["Versions"]] == ["leases/x-other"]
        assert "DeleteMarkers" not in found


def test_a_locked_object_that_is_replaced_stays_below_and_comes_back(moto: Server) -> None:
    settings = moto.new_storage(object_lock=True).model_copy(update={"immutable_days": 7})
    with closing(S3Storage(settings)) as storage:
        storage.put("x", b"locked")
        storage.lock("x", datetime.now(UTC) + timedelta(days=1))
        storage.put("x", b"on top", replace=True)
        assert storage.get("x") == b"on top"
        assert storage.locked_until("x") is None
        with pytest.raises(Exception, match="locked"):
            storage.delete("x")
        assert storage.get("x") == b"locked"


def test_what_somebody_hid_behind_a_marker_is_not_there_and_not_lost(moto: Server) -> None:
    settings = moto.new_storage(object_lock=True).model_copy(update={"immutable_days": 7})
    with closing(S3Storage(settings)) as storage, bucket(settings) as client:
        storage.put("x", b"locked")
        storage.lock("x", datetime.now(UTC) + timedelta(days=1))
        marker = client.delete_object(Bucket=settings.bucket, Key="x")
        assert storage.head("x") is None
        storage.delete("x")
        client.delete_object(Bucket=settings.bucket, Key="x", VersionId=marker["VersionId"])
        assert storage.get("x") == b"locked"
        assert storage.locked_until("x") is not None


def test_a_bucket_without_object_lock_says_so(settings: StorageSettings) -> None:
    with closing(S3Storage(settings.model_copy(update={"immutable_days": 7}))) as storage:
        storage.put("x", b"1")
        with pytest.raises(SettingsError, match=r"'x'.*can't be locked.*Object Lock.*BACKUP_IMMUTABLE_DAYS=0"):
            storage.lock("x", datetime.now(UTC) + timedelta(days=1))
        assert storage.locked_until("x") is None
        storage.delete("x")


def test_nothing_is_locked_where_nothing_is_to_be(moto: Server) -> None:
    with closing(S3Storage(moto.new_storage(object_lock=True))) as storage:
        storage.put("x", b"1")
        storage.lock("x", datetime.now(UTC) + timedelta(days=1))
        assert storage.locked_until("x") is None


def test_parts_of_uploads_that_were_cut_off_are_tidied_away_below_the_prefix(settings: StorageSettings) -> None:
    with bucket(settings) as client:
        for key in ("ours/chunks/x", "others/x"):
            client.create_multipart_upload(Bucket=settings.bucket, Key=key)

        def begun() -> list[str]:
            found = client.list_multipart_uploads(Bucket=settings.bucket).get("Uploads", [])
            return [upload["Key"] for upload in found]

        with closing(S3Storage(settings)) as storage:
            assert storage.tidy(datetime.now(UTC)) == 0, "it could be anybody's"
        with closing(S3Storage(settings.model_copy(update={"prefix": "ours"}))) as storage:
            assert list(storage.list()) == []
            assert storage.tidy(datetime(2009, 1, 1, tzinfo=UTC)) == 0
            assert len(begun()) == 2
            assert storage.tidy(datetime.now(UTC)) == 1
        assert begun() == ["others/x"]


def _works(settings: StorageSettings, credentials: object | None = None) -> None:
    """Use both obstore and boto3, each with its own copy of the credentials."""
    with closing(S3Storage(settings, credentials=credentials, large_bytes=PART, part_bytes=PART)) as storage:
        storage.put("small", b"1", replace=True)
        storage.put("large", bytes(6 * MIB), replace=True)
        assert {info.name: info.size_bytes for info in storage.list()} == {"small": 1, "large": 6 * MIB}


@pytest.fixture
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """See to it that this machine has no credentials for AWS."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


def test_without_credentials_it_is_said_where_they_could_be(guarded: Guarded, nothing_set: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"no AWS credentials.*BACKUP_STORAGE_ACCESS_KEY.*AWS_PROFILE"):
        S3Storage(guarded.settings)
    nothing_set.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(SettingsError, match="nobody"):
        S3Storage(guarded.settings)


def test_credentials_are_taken_from_the_environment(guarded: Guarded, nothing_set: pytest.MonkeyPatch) -> None:
    nothing_set.setenv("AWS_ACCESS_KEY_ID", guarded.owner["AccessKeyId"])
    nothing_set.setenv("AWS_SECRET_ACCESS_KEY", guarded.owner["SecretAccessKey"])
    _works(guarded.settings)


def test_credentials_are_taken_from_a_profile(guarded: Guarded, nothing_set: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lines = ("[default]", "aws_access_key_id = AKIAWRONG", "aws_secret_access_key = wrong", "[backup]")
    lines += (f"aws_access_key_id = {guarded.owner['AccessKeyId']}",)
    lines += (f"aws_secret_access_key = {guarded.owner['SecretAccessKey']}",)
    (tmp_path / "credentials").write_text("\n".join(lines))
    nothing_set.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    nothing_set.setenv("AWS_PROFILE", "backup")
    _works(guarded.settings)


def test_credentials_are_taken_from_the_containers_service(guarded: Guarded, nothing_set: pytest.MonkeyPatch) -> None:
    """As ECS and EKS give them to what runs there: asked for over HTTP, and for a time."""
    ends = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    keys = {"AccessKeyId": guarded.owner["AccessKeyId"], "SecretAccessKey": guarded.owner["SecretAccessKey"], "Expiration": ends}
    with answering({**keys, "Token": None}) as (address, asked):
        nothing_set.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", address)
        _works(guarded.settings)
    assert asked


def test_a_session_that_is_handed_in_goes_before_all(guarded: Guarded, nothing_set: pytest.MonkeyPatch) -> None:
    nothing_set.setenv("AWS_ACCESS_KEY_ID", "AKIAWRONG")
    nothing_set.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    owner = guarded.owner
    session = boto3.Session(aws_access_key_id=owner["AccessKeyId"], aws_secret_access_key=owner["SecretAccessKey"])
    _works(guarded.settings, session)
    _works(guarded.with_keys(guarded.reader), session)
    with pytest.raises(SettingsError, match="str is no credential for S3"):
        S3Storage(guarded.settings, credentials="AKIA")


def test_keys_of_the_settings_are_not_mixed_with_a_token_of_the_environment(
    guarded: Guarded, nothing_set: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        nothing_set.setenv(name, "of-something-else")
    _works(guarded.with_keys(guarded.owner))


def test_who_may_only_read_can_read_and_is_told_what_else_is_refused(guarded: Guarded) -> None:
    with closing(S3Storage(guarded.with_keys(guarded.owner))) as storage:
        storage.put("x", b"1", replace=True)
    with closing(S3Storage(guarded.with_keys(guarded.reader))) as storage:
        assert storage.get("x") == b"1"
        assert storage.head("never") is None
        with pytest.raises(ObjectNotFoundError):
            storage.get("never")
        with pytest.raises(StorageDeniedError, match=r"not allowed to store 'y'.*AccessDenied.*may read, write"):
            storage.put("y", b"1")
        with pytest.raises(StorageDeniedError, match="not allowed to delete 'x'"):
            storage.delete("x")


@pytest.mark.parametrize("one", ["access_key", "secret_key"])
def test_one_key_without_the_other_names_the_one_that_is_missing(settings: StorageSettings, one: str) -> None:
    missing = "SECRET" if one == "access_key" else "ACCESS"
    keys = {"access_key": None, "secret_key": None, one: SecretStr("canary")}
    with pytest.raises(SettingsError, match=f"BACKUP_STORAGE_{missing}_KEY is not set") as caught:
        S3Storage(settings.model_copy(update=keys))
    assert "canary" not in str(caught.value)


def test_the_endpoint_of_the_environment_is_heeded(settings: StorageSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", settings.endpoint or "")
    with closing(S3Storage(settings.model_copy(update={"endpoint": None}))) as storage:
        storage.put("x", b"1")
        assert storage.location == f"s3+{settings.endpoint}/{settings.bucket}"


@pytest.mark.parametrize("endpoint", ["minio", "ftp://host", "https://", "https://me:canary@host", "https://host?key=canary"])
def test_an_endpoint_that_is_no_address_names_the_setting(settings: StorageSettings, endpoint: str) -> None:
    with pytest.raises(SettingsError, match="BACKUP_STORAGE_ENDPOINT") as caught:
        S3Storage(settings.model_copy(update={"endpoint": endpoint}))
    assert "canary" not in str(caught.value)


def test_a_server_that_is_not_there_is_unreachable(settings: StorageSettings) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        nobody = f"http://127.0.0.1:{server.server_port}"
    for endpoint in (nobody, "http://no.such.host.invalid"):
        with closing(S3Storage(settings.model_copy(update={"endpoint": endpoint}), large_bytes=1)) as storage:
            for use in (lambda storage: storage.get("x"), lambda storage: storage.put("x", b"large")):
                with pytest.raises(StorageUnreachableError, match="'x'"):
                    use(storage)
