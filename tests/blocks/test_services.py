"""What a nested block says of a storage, and what opens it."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import boto3
import pytest
from azure.identity import ClientSecretCredential
from prefect_aws.assume_role_parameters import AssumeRoleParameters
from prefect_aws.client_parameters import AwsClientParameters
from prefect_azure import AzureBlobStorageCredentials
from prefect_gcp import GcpCredentials
from pydantic import SecretStr

from blocks import BackupStorage
from blocks.services import CLASSES, class_of, completed, made_of, marked
from holdfast.errors import SettingsError
from holdfast.storage import StorageSettings
from tests.blocks.nested import CANARY, EVERY_KIND, SOMEWHERE, aws, azure, minio, service_account
from tests.storage.servers import moto_server

PLAIN = StorageSettings()


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile `backup` in the user's AWS configuration."""
    file = tmp_path / "credentials"
    file.write_text("[backup]\naws_access_key_id = of-the-profile\naws_secret_access_key = its-secret\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))


def test_every_kind_that_is_read_can_be_nested() -> None:
    assert set(CLASSES) == set(EVERY_KIND)
    for slug, make in EVERY_KIND.items():
        assert type(make(SOMEWHERE)) is class_of(slug)


def test_keys_endpoint_and_region_come_from_the_nested_block() -> None:
    said, credentials = completed(PLAIN, aws(region_name="eu-west-3", aws_session_token="token"))
    assert (said.type, said.region, said.endpoint) == ("s3", "eu-west-3", SOMEWHERE.endpoint)
    assert (said.access_key, said.secret_key, said.session_token) == (SOMEWHERE.access_key, SecretStr(CANARY), SecretStr("token"))
    assert credentials is None


def test_what_the_storage_says_itself_goes_first_and_folders_are_joined() -> None:
    own = StorageSettings(type="s3", bucket="mine", region="here", endpoint="http://mine:9000", prefix="/production/")
    said, _ = completed(own, EVERY_KIND["s3-bucket"](SOMEWHERE))
    assert (said.bucket, said.region, said.endpoint, said.prefix) == ("mine", "here", "http://mine:9000", "inner/production")


@pytest.mark.usefixtures("profile")
def test_a_profile_is_taken_as_the_session_that_it_makes() -> None:
    _, session = completed(PLAIN, aws(aws_access_key_id=None, aws_secret_access_key=None, profile_name="backup"))
    assert isinstance(session, boto3.Session)
    found = session.get_credentials()
    assert found is not None
    assert found.access_key == "of-the-profile"
    with pytest.raises(SettingsError, match=r"aws-credentials can't be used: .*nobodys"):
        completed(PLAIN, aws(aws_access_key_id=None, aws_secret_access_key=None, profile_name="nobodys"))


def test_a_role_is_taken_on_and_again_before_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    server = moto_server()
    place = server.new_storage()
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.endpoint)
    role = {"assume_role_arn": "arn:aws:iam::123456789012:role/backup"}
    block = aws(place, **role, assume_role_kwargs=AssumeRoleParameters(DurationSeconds=900))
    _, session = completed(PLAIN, block)
    assert isinstance(session, boto3.Session)
    found = session.get_credentials()
    assert found is not None
    first = found.get_frozen_credentials()
    assert first.token
    assert first.access_key != place.access_key
    found._expiry_time = found._time_fetcher()  # type: ignore[attr-defined]  # as it is when the role's time is over
    assert found.get_frozen_credentials().access_key != first.access_key
    with closing(BackupStorage(service=block, bucket=place.bucket).open()) as storage:
        storage.put("one", b"1")
        assert storage.get("one") == b"1"


@pytest.mark.parametrize("parameters", [{"verify": False}, {"verify_cert_path": __file__}])
def test_certificates_are_verified_as_ever(parameters: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match="how certificates are verified"):
        completed(PLAIN, aws(aws_client_parameters=AwsClientParameters(**parameters)))


def test_minio_is_an_s3_with_a_user_and_a_password() -> None:
    said, _ = completed(PLAIN, minio())
    assert (said.type, said.endpoint, said.secret_key) == ("s3", SOMEWHERE.endpoint, SecretStr(CANARY))


def test_a_service_account_is_taken_whole_from_the_block_or_its_file(tmp_path: Path) -> None:
    file = tmp_path / "account.json"
    file.write_text(json.dumps(service_account()))
    for block in (GcpCredentials(service_account_info=service_account()), GcpCredentials(service_account_file=file)):
        said, credentials = completed(PLAIN, block)
        assert said.type == "gcs"
        assert getattr(credentials, "service_account_email", None) == service_account()["client_email"]


def test_a_connection_string_goes_where_it_leads() -> None:
    said, credentials = completed(StorageSettings(type="azure", bucket="content", access_key=SecretStr("shop")), azure())
    assert CANARY in (said.connection_string or SecretStr("")).get_secret_value()
    assert credentials is None


@pytest.mark.parametrize(
    ("url", "account"),
    [
        ("https://shop.blob.core.windows.net", "shop"),
        ("http://127.0.0.1:10000/shop", "shop"),
        ("https://shop.privatelink.x/", "shop"),
    ],
)
def test_an_azure_account_is_opened_by_its_address_and_whoever_we_are(url: str, account: str) -> None:
    said, credentials = completed(PLAIN, AzureBlobStorageCredentials(account_url=url))
    assert (said.endpoint, said.access_key, credentials) == (url, SecretStr(account), None)


def test_a_service_principal_of_azure_is_a_credential_of_its_own() -> None:
    # Azurite takes tokens over HTTPS only, and Azure's own login answers only there, so what it opens can't be tried here.
    block = AzureBlobStorageCredentials(
        account_url="https://shop.blob.core.windows.net", client_id="id", tenant_id="tenant", client_secret=SecretStr(CANARY)
    )
    said, credentials = completed(PLAIN, block)
    assert isinstance(credentials, ClientSecretCredential)
    assert CANARY not in f"{said!r}"
    credentials.close()


def test_a_bucket_of_another_cloud_or_two_credentials_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"type is gcs, and its nested block is of s3"):
        completed(StorageSettings(type="gcs"), aws())
    with pytest.raises(SettingsError, match="credentials of its own and those of a nested block") as caught:
        completed(StorageSettings(type="s3", access_key=SecretStr("a"), secret_key=SecretStr(CANARY)), aws())
    assert CANARY not in str(caught.value)


def test_what_is_no_block_of_a_storage_is_refused_without_being_shown() -> None:
    with pytest.raises(SettingsError, match="says nothing of a storage"):
        made_of({"block_type_slug": "secret", "value": CANARY})
    with pytest.raises(SettingsError, match="minio-credentials can't be used") as caught:
        made_of({"block_type_slug": "minio-credentials", "minio_root_password": CANARY})
    assert CANARY not in str(caught.value)


def test_kinds_are_written_into_what_is_nested_however_deep() -> None:
    inner = {"block_document": {"block_type": {"slug": "minio-credentials"}, "block_document_references": {}}}
    outer = {"block_document": {"block_type": {"slug": "s3-bucket"}, "block_document_references": {"credentials": inner}}}
    found = marked({"service": {"bucket_name": "b", "credentials": {"minio_root_user": "u"}}, "bucket": None}, {"service": outer})
    assert found["service"]["block_type_slug"] == "s3-bucket"
    assert found["service"]["credentials"] == {"minio_root_user": "u", "block_type_slug": "minio-credentials"}


def test_a_nested_block_shows_no_secret_when_the_storage_is_printed() -> None:
    for make in EVERY_KIND.values():
        block = BackupStorage(service=make(SOMEWHERE))
        assert CANARY not in f"{block!r} {block} {block.model_dump_json()} {block.model_dump()}"
