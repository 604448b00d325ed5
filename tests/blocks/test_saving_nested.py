"""Blocks of others within BackupStorage, on a real Prefect server: their kind and secrets come back, and stay in one place."""

from __future__ import annotations

import traceback
from contextlib import closing

import pytest
from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect_aws import AwsCredentials, MinIOCredentials, S3Bucket
from prefect_gcp import GcpCredentials
from pydantic import Secret, SecretStr

from blocks import BackupStorage
from blocks.opening import SLUG, read_storage_block
from blocks.replicas import find_replicas
from blocks.saving import STORAGE, register_and_save
from blocks.services import saved_service
from holdfast.errors import NotFoundError, PrefectUnreachableError, SettingsError
from holdfast.settings import load_settings
from holdfast.storage import open_storage
from tests.blocks.nested import CANARY, EVERY_KIND, aws, azure, gcp, minio, service_account
from tests.storage.servers import azurite_server, gcs_server, moto_server

pytestmark = pytest.mark.usefixtures("prefect_server")


def plain(block: Block) -> object:
    """All values of a block, secrets in clear."""
    return block.model_dump(mode="json", context={"include_secrets": True})


SERVERS = {"s3": moto_server, "gcs": gcs_server, "azure": azurite_server}


def cloud_of(kind: str) -> str:
    return "s3" if kind.startswith(("s3", "aws", "minio")) else "gcs" if kind.startswith("g") else "azure"


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_nested_block_comes_back_with_its_kind_and_secrets_and_opens_the_storage(kind: str) -> None:
    place, name = SERVERS[cloud_of(kind)]().new_storage(), f"nested-{kind}"
    nested = EVERY_KIND[kind](place)
    nested.save(name)
    outer = BackupStorage(service=type(nested).load(name), bucket=place.bucket, prefix="production", endpoint=place.endpoint)
    outer.save(name)
    first = BackupStorage.load(name)
    first.bandwidth_limit = 1 << 40
    first.save(name, overwrite=True)
    again = BackupStorage.load(name)

    for block in (first, again):
        assert type(block.service) is type(nested)
        assert plain(block.service) == plain(nested)
    found = read_storage_block(name)
    assert found.settings == again.storage_settings()
    assert (found.settings.bucket, found.settings.bandwidth_limit) == (place.bucket, 1 << 40)
    assert found.settings.prefix == ("production" if kind.endswith("credentials") else "inner/production")
    with closing(found.open()) as storage, closing(again.open()) as same:
        storage.put("folder/one", b"stored through a block")
        assert same.get("folder/one") == b"stored through a block"
    with closing(open_storage(place.model_copy(update={"prefix": found.settings.prefix}))) as storage:
        assert [info.name for info in storage.list()] == ["folder/one"]


def test_a_block_within_a_nested_block_keeps_its_kind_too() -> None:
    place = moto_server().new_storage()
    minio(place).save("inner")
    S3Bucket(bucket_name=place.bucket, credentials=MinIOCredentials.load("inner")).save("outer")
    BackupStorage(service=S3Bucket.load("outer")).save("outermost")
    loaded = BackupStorage.load("outermost").service
    assert isinstance(loaded, S3Bucket)
    assert isinstance(loaded.credentials, MinIOCredentials)
    with closing(read_storage_block("outermost").open()) as storage:
        assert list(storage.list()) == []


def test_a_secret_that_is_changed_in_its_own_block_is_changed_in_the_storage() -> None:
    aws(aws_session_token="first").save("rotated")
    BackupStorage(service=AwsCredentials.load("rotated"), bucket="b").save("uses-rotated")
    aws(aws_session_token="second").save("rotated", overwrite=True)
    assert read_storage_block("uses-rotated").settings.session_token == SecretStr("second")
    (replica,) = find_replicas(["uses-rotated"], bandwidth_limit=4096)
    assert replica.settings.session_token == SecretStr("second")
    assert replica.settings.bandwidth_limit == 4096
    assert "second" in {found.get_secret_value() for found in replica.secrets}
    assert "second" not in repr(replica)


def test_no_nested_secret_is_shown_to_whoever_just_reads() -> None:
    for make in (aws, minio, gcp, azure):
        BackupStorage(service=make(), bucket="b").save(f"seen-{make.__name__}")
    with get_client(sync_client=True) as client:
        text = client.request("POST", "/block_documents/filter", json={"limit": 200}).text
        text += client.request("GET", f"/block_types/slug/{SLUG}/block_documents").text
    assert text.count('"seen-') >= 4
    assert CANARY not in text
    assert service_account()["private_key"][30:60] not in text


def test_a_block_that_is_nested_in_the_primary_outlives_the_next_init(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKUP_STORAGE_TYPE", "s3")
    BackupStorage.saying(load_settings().storage_settings, aws()).save(STORAGE, overwrite=True)
    monkeypatch.setenv("BACKUP_STORAGE_BUCKET", "another")
    register_and_save(load_settings())
    found = read_storage_block(STORAGE).settings
    assert (found.bucket, found.secret_key) == ("another", SecretStr(CANARY))

    monkeypatch.setenv("BACKUP_STORAGE_ACCESS_KEY", "own")
    monkeypatch.setenv("BACKUP_STORAGE_SECRET_KEY", "own-secret")
    register_and_save(load_settings())
    assert read_storage_block(STORAGE).settings.secret_key == SecretStr("own-secret")
    assert BackupStorage.load(STORAGE).service is None


def test_a_storage_that_is_not_there_is_named_with_what_to_do() -> None:
    with pytest.raises(NotFoundError, match=rf"the replica gone: there is no block {SLUG}/gone.*holdfast storage add gone"):
        find_replicas(["gone"])
    with pytest.raises(NotFoundError, match="there is no block aws-credentials/gone"):
        saved_service("aws-credentials/gone")
    with pytest.raises(SettingsError, match="a block of type secret says nothing of a storage"):
        saved_service("secret/mine")


def test_a_saved_block_that_is_refused_does_not_show_what_it_holds() -> None:
    spoiled = GcpCredentials.model_construct(service_account_info=Secret(service_account() | {"private_key": CANARY}))
    spoiled.save("spoiled")
    with pytest.raises(SettingsError, match="nested block of type gcp-credentials can't be used") as caught:
        saved_service("gcp-credentials/spoiled")
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_a_server_that_does_not_answer_is_told_with_the_replica() -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}),
        pytest.raises(PrefectUnreachableError, match="the replica far: "),
    ):
        find_replicas(["far"])
    with temporary_settings(restore_defaults={PREFECT_API_URL}), pytest.raises(PrefectUnreachableError, match="PREFECT_API_URL"):
        find_replicas(["far"])
