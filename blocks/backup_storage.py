"""Where backups are stored, as a block."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from prefect.blocks.core import Block
from pydantic import ConfigDict, Field, SecretStr

from holdfast.storage import Storage, StorageSettings, open_storage

if TYPE_CHECKING:
    from holdfast.settings import Settings


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
    _block_type_slug = "holdfast-backup-storage"
    _description = "Where Holdfast stores backups: a local folder today; buckets of S3, Google Cloud Storage and Azure to come."

    type: Literal["local", "s3", "gcs", "azure"] = Field("local", description="Kind of storage.")
    path: Path | None = Field(None, description="Folder of a local storage, as an absolute path on the worker's host.")
    bucket: str | None = Field(None, description="Bucket or container.")
    region: str | None = Field(None, description="Region of the bucket.")
    endpoint: str | None = Field(None, description="Address of the storage service where it is not the provider's own.")
    prefix: str | None = Field(None, description="Folder in the bucket, so that one bucket can hold several repositories.")
    access_key: SecretStr | None = Field(None, description="Access key id.")
    secret_key: SecretStr | None = Field(None, description="Secret of the access key.")

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Make the block that says what the settings say."""
        storage = settings.storage_settings
        return cls(**{name: getattr(storage, name) for name in StorageSettings.model_fields if name in cls.model_fields})

    def storage_settings(self) -> StorageSettings:
        """Say the same without Prefect."""
        return StorageSettings(
            **{name: getattr(self, name) for name in StorageSettings.model_fields if name in type(self).model_fields}
        )

    def open(self) -> Storage:
        """Open the storage. Raises SettingsError."""
        return open_storage(self.storage_settings())
