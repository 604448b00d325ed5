"""One block of each kind that a BackupStorage block can hold, as users have them saved in Prefect already."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from prefect.blocks.core import Block
from prefect_aws import AwsCredentials, MinIOCredentials, S3Bucket
from prefect_aws.client_parameters import AwsClientParameters
from prefect_azure import AzureBlobStorageCredentials
from prefect_azure.blob_storage import AzureBlobStorageContainer
from prefect_gcp import GcpCredentials, GcsBucket
from pydantic import SecretStr

from holdfast.storage import StorageSettings

CANARY = "canary-of-a-nested-secret"
SOMEWHERE = StorageSettings(
    bucket="content", endpoint="http://127.0.0.1:9000", access_key=SecretStr("shop"), secret_key=SecretStr(CANARY)
)


def secret(text: SecretStr | None) -> str:
    assert text is not None
    return text.get_secret_value()


def aws(place: StorageSettings = SOMEWHERE, **others: Any) -> AwsCredentials:
    given = {
        "aws_access_key_id": secret(place.access_key),
        "aws_secret_access_key": place.secret_key,
        "aws_client_parameters": AwsClientParameters(endpoint_url=place.endpoint),
        "region_name": "us-east-1",
    }
    return AwsCredentials(**(given | others))


def minio(place: StorageSettings = SOMEWHERE) -> MinIOCredentials:
    assert place.secret_key is not None
    return MinIOCredentials(
        minio_root_user=secret(place.access_key),
        minio_root_password=place.secret_key,
        aws_client_parameters=AwsClientParameters(endpoint_url=place.endpoint),
    )


def gcp(place: StorageSettings = SOMEWHERE) -> GcpCredentials:
    del place
    return GcpCredentials(service_account_info=service_account())


@functools.cache
def service_account() -> dict[str, str]:
    """The key file of a service account that nobody has."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return {
        "type": "service_account",
        "project_id": "shop",
        "private_key_id": "0123456789abcdef",
        "private_key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "client_email": "backup@shop.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": "https://oauth2.googleapis.com/token",
    }


def connection_string(place: StorageSettings = SOMEWHERE) -> str:
    account, key = secret(place.access_key), secret(place.secret_key)
    return f"DefaultEndpointsProtocol=http;AccountName={account};AccountKey={key};BlobEndpoint={place.endpoint};"


def azure(place: StorageSettings = SOMEWHERE) -> AzureBlobStorageCredentials:
    return AzureBlobStorageCredentials(connection_string=SecretStr(connection_string(place)))


EVERY_KIND: dict[str, Callable[[StorageSettings], Block]] = {
    "s3-bucket": lambda place: S3Bucket(bucket_name=place.bucket, bucket_folder="inner", credentials=aws(place)),
    "aws-credentials": aws,
    "minio-credentials": minio,
    "gcs-bucket": lambda place: GcsBucket(bucket=place.bucket, bucket_folder="inner", gcp_credentials=gcp(place)),
    "gcp-credentials": gcp,
    "azure-blob-storage-credentials": azure,
    "azure-blob-storage-container": lambda place: AzureBlobStorageContainer(
        container_name=place.bucket, base_folder="inner", credentials=azure(place)
    ),
}
