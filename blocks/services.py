"""What the blocks of prefect-aws, prefect-gcp and prefect-azure say of a storage: settings, and credentials they can't hold.

So credentials that are saved in Prefect already are used as they are, and stay in one place. What a storage's own fields say goes
before what the nested block says. Each collection is imported only where a block of it is used: they are slow to import.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from pydantic import SecretStr, ValidationError

from blocks.server import asked
from holdfast.errors import HoldfastError, NotFoundError, SettingsError
from holdfast.storage import StorageSettings
from holdfast.storage.settings import account_in

if TYPE_CHECKING:
    from prefect_aws import AwsCredentials, MinIOCredentials, S3Bucket
    from prefect_azure import AzureBlobStorageCredentials
    from prefect_azure.blob_storage import AzureBlobStorageContainer
    from prefect_gcp import GcpCredentials, GcsBucket

    Aws = AwsCredentials | MinIOCredentials

CLASSES = {
    "s3-bucket": ("prefect_aws", "S3Bucket"),
    "aws-credentials": ("prefect_aws", "AwsCredentials"),
    "minio-credentials": ("prefect_aws", "MinIOCredentials"),
    "gcs-bucket": ("prefect_gcp", "GcsBucket"),
    "gcp-credentials": ("prefect_gcp", "GcpCredentials"),
    "azure-blob-storage-credentials": ("prefect_azure", "AzureBlobStorageCredentials"),
    "azure-blob-storage-container": ("prefect_azure.blob_storage", "AzureBlobStorageContainer"),
}
_OWN_CREDENTIALS = ("secret_key", "session_token", "credentials_file", "connection_string")


@dataclass(frozen=True, slots=True)
class Found:
    """What a nested block says: fields of StorageSettings, and credentials for `open_storage` where no field can hold them."""

    fields: dict[str, Any]
    credentials: object | None = None

    def within(self, bucket: str, folder: str | None) -> Found:
        """Say the same of a bucket, and of a folder in it."""
        return Found({**self.fields, "bucket": bucket, "prefix": folder}, self.credentials)


def marked(data: dict[str, Any], references: Mapping[str, Any]) -> dict[str, Any]:
    """Write the kind of each nested block into its values: Prefect leaves it out of those that are saved as blocks themselves.

    `references` are the block document's; without the kind Prefect tries one kind after the other, and some take anything.
    """
    marks = dict(data)
    for field, reference in references.items():
        document = reference["block_document"]
        slug, inner = document["block_type"]["slug"], document.get("block_document_references") or {}
        if isinstance(marks.get(field), dict):
            marks[field] = marked(marks[field] | {"block_type_slug": slug}, inner)
    return marks


def class_of(slug: str) -> type[Block]:
    """Import the class of a nested block. Raises SettingsError."""
    if slug not in CLASSES:
        raise SettingsError(f"a block of type {slug} says nothing of a storage", reason=f"those that do are {', '.join(CLASSES)}")
    module, name = CLASSES[slug]
    kind: type[Block] = getattr(import_module(module), name)
    return kind


def made_of(data: Mapping[str, Any]) -> Block:
    """Make a nested block from its values, which are marked with its kind. Raises SettingsError, which shows none of them."""
    slug = str(data.get("block_type_slug"))
    kind = class_of(slug)
    try:
        return kind.model_validate(dict(data))
    except ValidationError as error:
        reason = "; ".join(found["msg"] for found in error.errors(include_url=False, include_context=False, include_input=False))
        raise SettingsError(f"The nested block of type {slug} can't be used", reason=reason) from None
    except HoldfastError:
        raise
    except Exception as error:  # noqa: BLE001  some read keys when they are made, and what they then say may quote one
        raise SettingsError(
            f"The nested block of type {slug} can't be used", reason=f"its credentials are refused ({type(error).__name__})"
        ) from None


def saved_service(reference: str) -> Block:
    """Load the block that `slug/name` names. Raises NotFoundError, SettingsError, which show nothing of it."""
    slug, _, name = reference.partition("/")
    kind = class_of(slug)
    with asked(f"the block {reference} is there"), get_client(sync_client=True) as client:
        try:
            document = client.read_block_document_by_name(name, slug, include_secrets=True)
        except ObjectNotFound:
            raise NotFoundError(f"there is no block {reference}", next_step="Blocks are listed by 'prefect block ls'") from None
    data = marked(document.data, document.block_document_references)
    made_of(data | {"block_type_slug": slug})  # tells what is wrong without quoting it
    document.data = data
    return kind._from_block_document(document)


def has_credentials(settings: StorageSettings) -> bool:
    """Tell whether settings hold credentials themselves, whole ones or a part."""
    named = settings.access_key is not None and settings.type != "azure"  # there it is the account, part of the address
    return named or any(getattr(settings, name) is not None for name in _OWN_CREDENTIALS)


def completed(settings: StorageSettings, service: Block) -> tuple[StorageSettings, object | None]:
    """Complete settings by what a nested block says. Raises SettingsError."""
    found = _read(service)
    kind = found.fields["type"]
    if settings.type not in {"local", kind}:  # local is what nobody chose
        raise SettingsError(f"The storage's type is {settings.type}, and its nested block is of {kind}")
    if has_credentials(settings):
        raise SettingsError(
            "The storage has credentials of its own and those of a nested block",
            reason="it is not clear which are to be used",
            next_step="Leave one of them out",
        )
    own = {name: value for name, value in settings if value is not None}
    folders = [folder.strip("/") for folder in (found.fields.get("prefix"), settings.prefix) if folder and folder.strip("/")]
    values = {**found.fields, **own, "type": kind, "prefix": "/".join(folders) or None}
    return StorageSettings(**values), found.credentials


def _aws(block: Aws) -> Found:
    parameters = block.aws_client_parameters
    if parameters.verify is False or parameters.verify_cert_path or not isinstance(parameters.verify, bool | None):
        raise SettingsError(
            "The nested block turns off or changes how certificates are verified, which is not done here",
            next_step="Let the machine trust the certificate (SSL_CERT_FILE and AWS_CA_BUNDLE name it), and leave 'verify' unset",
        )
    return Found({"type": "s3", "region": block.region_name, "endpoint": parameters.endpoint_url})


def _aws_credentials(block: AwsCredentials) -> Found:
    found = _aws(block)
    secret = block.aws_secret_access_key
    if secret is None or not block.aws_access_key_id or block.assume_role_arn:
        from blocks.assumed_role import session_of

        return Found(found.fields, session_of(block))
    token = SecretStr(block.aws_session_token) if block.aws_session_token else None
    keys = {"access_key": SecretStr(block.aws_access_key_id), "secret_key": secret, "session_token": token}
    return Found({**found.fields, **keys})


def _minio_credentials(block: MinIOCredentials) -> Found:
    return Found(
        {**_aws(block).fields, "access_key": SecretStr(block.minio_root_user), "secret_key": block.minio_root_password},
    )


def _s3_bucket(block: S3Bucket) -> Found:
    return _read(block.credentials).within(block.bucket_name, block.bucket_folder)


def _gcp_credentials(block: GcpCredentials) -> Found:
    given = block.service_account_info or block.service_account_file
    return Found({"type": "gcs"}, block.get_credentials_from_service_account() if given else None)


def _gcs_bucket(block: GcsBucket) -> Found:
    return _read(block.gcp_credentials).within(block.bucket, block.bucket_folder)


def _azure_credentials(block: AzureBlobStorageCredentials) -> Found:
    if block.connection_string is not None:
        return Found({"type": "azure", "connection_string": block.connection_string})
    fields = {"type": "azure", "endpoint": block.account_url, "access_key": SecretStr(account_in(block.account_url or ""))}
    tenant, client, secret = block.tenant_id, block.client_id, block.client_secret
    if tenant is None or client is None or secret is None:
        return Found(fields)
    from azure.identity import ClientSecretCredential

    return Found(fields, ClientSecretCredential(tenant, client, secret.get_secret_value()))


def _azure_container(block: AzureBlobStorageContainer) -> Found:
    return _read(block.credentials).within(block.container_name, block.base_folder)


def _read(block: Block) -> Found:
    return _READERS[type(block).get_block_type_slug()](block)


_READERS: dict[str, Callable[[Any], Found]] = {
    "s3-bucket": _s3_bucket,
    "aws-credentials": _aws_credentials,
    "minio-credentials": _minio_credentials,
    "gcs-bucket": _gcs_bucket,
    "gcp-credentials": _gcp_credentials,
    "azure-blob-storage-credentials": _azure_credentials,
    "azure-blob-storage-container": _azure_container,
}
