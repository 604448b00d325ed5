"""From settings to storage: which kind, where, with which credentials. The only place that knows the kinds."""

from __future__ import annotations

from holdfast.errors import SettingsError
from holdfast.storage.contract import Storage
from holdfast.storage.local import LocalStorage
from holdfast.storage.settings import StorageSettings


def open_storage(settings: StorageSettings, *, credentials: object | None = None) -> Storage:
    """Open the storage that the settings name. Raises SettingsError."""
    del credentials  # of a cloud
    if settings.type != "local":
        raise SettingsError(
            f"BACKUP_STORAGE_TYPE is {settings.type!r}, which this version can't use yet",
            reason="local is there today; s3, gcs and azure are not",
            next_step="Set BACKUP_STORAGE_TYPE=local and BACKUP_STORAGE_PATH to a folder",
        )
    if settings.path is None:
        raise SettingsError("BACKUP_STORAGE_PATH is not set", reason="a local storage needs the folder to keep backups in")
    return LocalStorage(settings.path, immutable_days=settings.immutable_days)
