"""Where a storage is, and how it is to be used: what settings, blocks and URLs all come down to."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

StorageType = Literal["local", "s3", "gcs", "azure"]


class StorageSettings(BaseModel):
    """Where backups are kept. Fields that a type has no use for are ignored."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    type: StorageType = Field("local", description="Kind of storage")
    path: Path | None = Field(None, description="Folder of a local storage")
    bucket: str | None = Field(None, description="Bucket or container")
    region: str | None = Field(None, description="Region of the bucket (s3)")
    endpoint: str | None = Field(None, description="Address of the service where it is not the provider's own")
    prefix: str | None = Field(None, description="Folder in the bucket, so that one bucket can hold several repositories")
    access_key: SecretStr | None = Field(
        None, description="Access key id (s3), e-mail address of the service account (gcs), name of the account (azure)"
    )
    secret_key: SecretStr | None = Field(
        None, description="Secret access key (s3), private key of the service account (gcs), key of the account (azure)"
    )
    session_token: SecretStr | None = Field(None, description="Token of temporary credentials (s3)")
    credentials_file: Path | None = Field(None, description="JSON file of a service account (gcs)")
    connection_string: SecretStr | None = Field(None, description="Connection string (azure)")
    storage_class: str | None = Field(None, description="Storage class or access tier of what is many and seldom read: chunks")
    immutable_days: int = Field(0, description="Days for which what belongs to a backup can't be changed or deleted")
    bandwidth_limit: int | None = Field(None, description="Bytes per second, upload and download each, of all threads together")
    offsite: bool | None = Field(None, description="Whether it is somewhere else than the source; unset, its address decides")
