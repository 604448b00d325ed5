"""One block of each kind that a BackupStorage block can hold, as users have them saved in Prefect already."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
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

CANARY = "canary-of-a-nested-secret"
ADDRESS = "http://127.0.0.1:9000"
CONNECTION = f"DefaultEndpointsProtocol=https;AccountName=shop;AccountKey={CANARY};EndpointSuffix=core.windows.net"


def aws(secret: str = CANARY, endpoint: str | None = ADDRESS, **others: Any) -> AwsCredentials:
    return AwsCredentials(
        aws_access_key_id="AK",
        aws_secret_access_key=SecretStr(secret),
        aws_client_parameters=AwsClientParameters(endpoint_url=endpoint),
        **{"aws_session_token": f"token-{secret}", "region_name": "eu-west-3", **others},
    )


def minio(secret: str = CANARY, endpoint: str | None = ADDRESS) -> MinIOCredentials:
    return MinIOCredentials(
        minio_root_user="root",
        minio_root_password=SecretStr(secret),
        aws_client_parameters=AwsClientParameters(endpoint_url=endpoint),
    )


def gcp() -> GcpCredentials:
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


def service_account_file(folder: Path) -> Path:
    file = folder / "account.json"
    file.write_text(json.dumps(service_account()))
    return file


def azure() -> AzureBlobStorageCredentials:
    return AzureBlobStorageCredentials(connection_string=SecretStr(CONNECTION))


EVERY_KIND: dict[str, Callable[[], Block]] = {
    "s3-bucket": lambda: S3Bucket(bucket_name="content", bucket_folder="inner", credentials=aws()),
    "aws-credentials": aws,
    "minio-credentials": minio,
    "gcs-bucket": lambda: GcsBucket(bucket="content", bucket_folder="inner", gcp_credentials=gcp()),
    "gcp-credentials": gcp,
    "azure-blob-storage-credentials": azure,
    "azure-blob-storage-container": lambda: AzureBlobStorageContainer(
        container_name="content", base_folder="inner", credentials=azure()
    ),
}
