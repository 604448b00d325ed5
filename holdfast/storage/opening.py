"""From settings to storage: which kind, where, with which credentials. The only place that knows the kinds."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from holdfast.errors import SettingsError
from holdfast.storage.contract import Storage
from holdfast.storage.local import LocalStorage


class StorageSettings(BaseModel):
    """Where backups are kept."""

    model_config = ConfigDict(frozen=True)

    type: Literal["local", "s3", "gcs", "azure"] = Field("local", description="Kind of storage")
    path: Path | None = Field(None, description="Folder of a local storage")
    bucket: str | None = Field(None, description="Bucket or container")
    region: str | None = Field(None, description="Region of the bucket")
    endpoint: str | None = Field(None, description="Address of the service where it is not the provider's own")
    prefix: str | None = Field(None, description="Folder in the bucket, so that one bucket can hold several repositories")
    access_key: SecretStr | None = Field(None, description="Access key id")
    secret_key: SecretStr | None = Field(None, description="Secret access key")


def open_storage(settings: StorageSettings) -> Storage:
    """Open the storage that the settings name. Raises SettingsError."""
    if settings.type != "local":
        raise SettingsError(
            f"BACKUP_STORAGE_TYPE is {settings.type!r}, which this version can't use yet",
            reason="local is there today; s3, gcs and azure are not",
            next_step="Set BACKUP_STORAGE_TYPE=local and BACKUP_STORAGE_PATH to a folder",
        )
    if settings.path is None:
        raise SettingsError("BACKUP_STORAGE_PATH is not set", reason="a local storage needs the folder to keep backups in")
    return LocalStorage(settings.path)
