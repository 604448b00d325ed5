"""From settings to storage: which kind, where, with which credentials. The only place that knows the kinds.

A storage in a cloud is tried again when it does not answer; a limit lies within that, so that what is sent again counts again.
"""

from __future__ import annotations

from holdfast.errors import NotFoundError, SettingsError
from holdfast.storage.classes import checked_class
from holdfast.storage.contract import Storage
from holdfast.storage.local import LocalStorage
from holdfast.storage.retrying import RetryingStorage, RetryPolicy
from holdfast.storage.settings import StorageSettings
from holdfast.storage.throttle import ThrottledStorage


def open_storage(settings: StorageSettings, *, credentials: object | None = None, retry: RetryPolicy | None = None) -> Storage:
    """Open the storage that the settings name. Nothing is asked of a service yet. Raises SettingsError.

    `credentials` are a boto3 session (s3), Google credentials (gcs) or a credential of azure.identity (azure); they go before
    those of the settings. Where neither has any, the provider's default chain finds them.
    """
    storage = _opened(settings, credentials)
    if settings.bandwidth_limit:
        storage = ThrottledStorage(storage, settings.bandwidth_limit)
    return storage if settings.type == "local" else RetryingStorage(storage, retry)


def require_folder(settings: StorageSettings, next_step: str) -> None:
    """Raise NotFoundError where a local storage has no folder: opening it would make one, perhaps below a mount point."""
    if settings.type == "local" and settings.path is not None and not settings.path.expanduser().exists():
        raise NotFoundError(
            f"there is no folder {settings.path}",
            reason="no such folder exists, and reading makes none",
            next_step=next_step,
        )


def _opened(settings: StorageSettings, credentials: object | None) -> Storage:
    """Open it bare. Each cloud's libraries are imported only where they are used: they are slow."""
    if settings.type == "s3":
        from holdfast.storage.s3 import S3Storage

        return S3Storage(settings, credentials=credentials)
    if settings.type == "azure":
        from holdfast.storage.azure import AzureStorage

        return AzureStorage(settings, credentials=credentials)
    if settings.type == "gcs":
        from holdfast.storage.gcs import GcsStorage

        return GcsStorage(settings, credentials=credentials)
    checked_class(settings.type, settings.storage_class)
    if settings.path is None:
        raise SettingsError("BACKUP_STORAGE_PATH is not set", reason="a local storage needs the folder to keep backups in")
    return LocalStorage(settings.path, immutable_days=settings.immutable_days)
