"""Where backups are stored, as a block, with the provider's own block in it where one is saved already.

Slow to import: who only needs the storage of a saved block takes `blocks.opening`.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias

from prefect.blocks.core import Block
from prefect.client.schemas.objects import BlockDocument
from prefect_aws import AwsCredentials, MinIOCredentials, S3Bucket
from prefect_azure import AzureBlobStorageCredentials
from prefect_azure.blob_storage import AzureBlobStorageContainer
from prefect_gcp import GcpCredentials, GcsBucket
from pydantic import ConfigDict, Field, SecretStr, ValidatorFunctionWrapHandler, field_validator

from blocks.opening import DESCRIPTION, SLUG
from blocks.services import CLASSES, completed, made_of, marked
from holdfast.errors import SettingsError
from holdfast.storage import Storage, StorageSettings, open_storage
from holdfast.storage.settings import StorageType

if TYPE_CHECKING:
    from holdfast.settings import Settings

Service: TypeAlias = (
    S3Bucket
    | AwsCredentials
    | MinIOCredentials
    | GcsBucket
    | GcpCredentials
    | AzureBlobStorageCredentials
    | AzureBlobStorageContainer
)
_schemas: dict[Any, dict[str, Any]] = {}


class BackupStorage(Block):
    """Where backups are stored.

    Examples:
        List what a storage keeps.
        ```python
        from blocks import BackupStorage

        storage = BackupStorage.load("holdfast-storage").open()
        for found in storage.list("manifests"):
            print(found.name, found.size_bytes)
        ```
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True)

    _block_type_name = "Backup Storage"
    _block_type_slug = SLUG
    _description = DESCRIPTION

    type: StorageType = Field("local", description="Kind of storage; that of the nested block where there is one.")
    path: Path | None = Field(None, description="Folder of a local storage, as an absolute path on the worker's host.")
    service: Service | None = Field(
        None,
        description="A bucket, container or credentials that Prefect keeps already. Fields of this block go before what it says; "
        "prefixes are joined.",
    )
    bucket: str | None = Field(None, description="Bucket or container.")
    region: str | None = Field(None, description="Region of the bucket (s3).")
    endpoint: str | None = Field(None, description="Address of the storage service where it is not the provider's own.")
    prefix: str | None = Field(None, description="Folder in the bucket, so that one bucket can hold several repositories.")
    access_key: SecretStr | None = Field(
        None, description="Access key id (s3), e-mail address of the service account (gcs), name of the account (azure)."
    )
    secret_key: SecretStr | None = Field(
        None, description="Secret access key (s3), private key of the service account (gcs), key of the account (azure)."
    )
    session_token: SecretStr | None = Field(None, description="Token that belongs to a temporary access key (s3).")
    credentials_file: Path | None = Field(
        None, description="JSON file of a service account (gcs), as an absolute path on the worker's host."
    )
    connection_string: SecretStr | None = Field(None, description="Connection string (azure).")
    storage_class: str | None = Field(
        None, description="Storage class or access tier of chunks, such as STANDARD_IA (s3), NEARLINE (gcs), Cool (azure)."
    )
    immutable_days: int = Field(
        0, ge=0, le=3650, description="Days for which what belongs to a backup can't be changed or deleted."
    )
    bandwidth_limit: int | None = Field(None, ge=1024, description="Bytes per second, for upload and for download.")
    offsite: bool | None = Field(
        None, description="Whether it is somewhere else than what is backed up; unset, its address decides."
    )

    @field_validator("service", mode="wrap")
    @classmethod
    def _of_its_kind(cls, value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        """Make the nested block by its kind. Trying all kinds would take one for another, and some fail on what is not theirs."""
        if isinstance(value, Block) and type(value).get_block_type_slug() in CLASSES:
            return value
        if not isinstance(value, Mapping) or "block_type_slug" not in value:
            return handler(value)
        try:
            return made_of(value)
        except SettingsError as error:
            raise ValueError(error.reason or error.message) from None

    @classmethod
    def _from_block_document(cls, block_document: BlockDocument) -> Self:
        """Make the block from what the server keeps, each nested block of the kind that it is."""
        block_document.data = marked(block_document.data, block_document.block_document_references)
        return super()._from_block_document(block_document)

    @classmethod
    def model_json_schema(cls, *args: Any, **options: Any) -> dict[str, Any]:
        """Give the schema, made once for each way of asking: it takes 0.1 s, and Prefect asks some sixty times for a save."""
        key = (cls, args, tuple(sorted(options.items(), key=lambda option: option[0])))
        if key not in _schemas:
            _schemas[key] = super().model_json_schema(*args, **options)
        return deepcopy(_schemas[key])

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Make the block that says what the settings say."""
        return cls.saying(settings.storage_settings)

    @classmethod
    def saying(cls, storage: StorageSettings, service: Service | None = None) -> Self:
        """Make the block that says the same as these, with a provider's block in it or without."""
        return cls(service=service, **{name: value for name, value in storage if value is not None})

    def storage_settings(self) -> StorageSettings:
        """Say the same without Prefect. Raises SettingsError (the nested block says otherwise)."""
        return self._completed()[0]

    def open(self) -> Storage:
        """Open the storage. Raises SettingsError."""
        settings, credentials = self._completed()
        return open_storage(settings, credentials=credentials)

    def _completed(self) -> tuple[StorageSettings, object | None]:
        settings = StorageSettings(**{name: getattr(self, name) for name in StorageSettings.model_fields})
        return (settings, None) if self.service is None else completed(settings, self.service)
