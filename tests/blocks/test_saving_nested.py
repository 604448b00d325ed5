"""Blocks of others within BackupStorage, on a real Prefect server: their kind and secrets come back, and stay in one place."""

from __future__ import annotations

import json

import pytest
from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from pydantic import SecretStr

from blocks import BackupStorage
from blocks.opening import SLUG, read_storage_block, storage_settings_of
from blocks.replicas import find_replicas
from blocks.saving import STORAGE, register_and_save
from holdfast.errors import NotFoundError, PrefectUnreachableError, SettingsError
from holdfast.settings import load_settings
from tests.blocks.nested import CANARY, EVERY_KIND, aws, service_account

pytestmark = pytest.mark.usefixtures("prefect_server")


def plain(block: Block) -> object:
    """All values of a block, secrets in clear."""
    return block.model_dump(mode="json", context={"include_secrets": True})


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_nested_block_comes_back_with_its_kind_and_secrets_however_often_it_is_saved(kind: str) -> None:
    nested, name = EVERY_KIND[kind](), f"nested-{kind}"
    nested.save(name)
    BackupStorage(service=type(nested).load(name), bucket="content", prefix="production").save(name)
    first = BackupStorage.load(name)
    first.storage_class = "STANDARD" if "azure" not in kind else "Cool"
    first.save(name, overwrite=True)
    again = BackupStorage.load(name)

    for block in (first, again):
        assert type(block.service) is type(nested)
        assert plain(block.service) == plain(nested)
    said, credentials = storage_settings_of(name)
    assert said == again.storage_settings()
    assert (said.bucket, said.storage_class) == ("content", again.storage_class)
    assert said.prefix == (
        "inner/production" if kind in {"s3-bucket", "gcs-bucket", "azure-blob-storage-container"} else "production"
    )
    assert (credentials is not None) == ("gc" in kind)


def test_a_secret_that_is_changed_in_its_own_block_is_changed_in_the_storage() -> None:
    aws("first-secret").save("rotated")
    BackupStorage(service=type(aws()).load("rotated"), bucket="b").save("uses-rotated")
    aws("second-secret").save("rotated", overwrite=True)
    assert read_storage_block("uses-rotated").settings.secret_key == SecretStr("second-secret")
    (replica,) = find_replicas(["uses-rotated"], bandwidth_limit=4096)
    assert replica.settings.session_token == SecretStr("token-second-secret")
    assert replica.settings.bandwidth_limit == 4096


def test_no_nested_secret_is_shown_to_whoever_just_reads() -> None:
    for kind, make in EVERY_KIND.items():
        if kind.endswith("credentials"):
            BackupStorage(service=make(), bucket="b").save(f"seen-{kind}")
    with get_client(sync_client=True) as client:
        text = json.dumps(client.request("POST", "/block_documents/filter", json={"limit": 200}).json())
    assert text.count('"seen-') >= 4
    assert '"token-' in text, "prefect-aws keeps the session token as plain text; this test shows it as it is"
    assert CANARY not in text.replace(f"token-{CANARY}", "")
    assert service_account()["private_key"][30:60] not in text


def test_a_block_that_is_nested_in_the_primary_outlives_the_next_init(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKUP_STORAGE_TYPE", "s3")
    monkeypatch.setenv("BACKUP_STORAGE_BUCKET", "content")
    settings = load_settings()
    register_and_save(settings)
    BackupStorage.saying(settings.storage_settings, aws()).save(STORAGE, overwrite=True)
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


def test_a_block_that_can_not_be_used_says_why_and_shows_nothing() -> None:
    BackupStorage(type="gcs", bucket="b", service=aws()).save("mixed")
    with pytest.raises(SettingsError, match=r"holdfast-backup-storage/mixed can't be used.*type is gcs.*nested block is of s3"):
        read_storage_block("mixed")
    BackupStorage(bucket="b", service=aws(), access_key=SecretStr("AK"), secret_key=SecretStr(CANARY)).save("twice")
    with pytest.raises(SettingsError, match="credentials of its own and those of a nested block") as caught:
        read_storage_block("twice")
    assert CANARY not in str(caught.value)


def test_a_server_that_does_not_answer_is_told_with_the_replica() -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}),
        pytest.raises(PrefectUnreachableError, match="the replica far: "),
    ):
        find_replicas(["far"])
    with temporary_settings(restore_defaults={PREFECT_API_URL}), pytest.raises(PrefectUnreachableError, match="PREFECT_API_URL"):
        find_replicas(["far"])
