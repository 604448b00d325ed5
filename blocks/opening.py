"""Open the storage of a BackupStorage block by the block's name.

The block is read as the server keeps it, without its class, which needs the slow collections of three clouds: a local storage
imports none of them, and a nested block only its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings
from pydantic import SecretStr, ValidationError

from blocks.server import asked
from blocks.services import completed, made_of, marked
from holdfast.errors import HoldfastError, NotFoundError, PrefectUnreachableError, SettingsError
from holdfast.secret_texts import secrets_of
from holdfast.storage import Storage, StorageSettings, open_storage

SLUG = "holdfast-backup-storage"
DESCRIPTION = (
    "Where Holdfast stores backups: a local folder, or a bucket of S3, Google Cloud Storage or Azure. Credentials come from "
    "the nested block, else from the fields, else from where the provider's own tools find them."
)
SERVICE = "service"
"""The field of a nested block."""


@dataclass(frozen=True, slots=True)
class StorageBlock:
    """A BackupStorage block as it is saved: where the storage is, and what opens it."""

    name: str
    settings: StorageSettings
    credentials: object | None
    secrets: tuple[SecretStr, ...]
    """Everything in it that must not be shown, also what only the nested block holds."""

    def open(self) -> Storage:
        """Open the storage. Raises SettingsError."""
        return open_storage(self.settings, credentials=self.credentials)


def read_storage_block(name: str) -> StorageBlock:
    """Read a block from the Prefect server. Raises NotFoundError, SettingsError, PrefectUnreachableError."""
    if get_current_settings().api.url is None:  # else Prefect would start a server of its own, for a minute
        raise PrefectUnreachableError(
            f"The storage {name} is a Prefect block, and no Prefect server is set", next_step="Set PREFECT_API_URL to the server"
        )
    with asked(f"the storage {name} is a block there"), get_client(sync_client=True) as client:
        data = _document(client, name)
    try:
        return _read(name, data)
    except HoldfastError as error:
        message = f"The block {SLUG}/{name} can't be used"
        reason = error.what_and_why
        raise SettingsError(message, reason=reason, next_step=error.next_step) from None


def _document(client: SyncPrefectClient, name: str) -> dict[str, Any]:
    try:
        found = client.read_block_document_by_name(name, SLUG, include_secrets=True)
    except ObjectNotFound:
        raise NotFoundError(
            f"there is no block {SLUG}/{name}",
            next_step=f"Save it with 'holdfast storage add {name} URL', or with 'holdfast init'",
        ) from None
    return marked(found.data, found.block_document_references)


def _read(name: str, data: dict[str, Any]) -> StorageBlock:
    try:
        settings = StorageSettings(**{field: data[field] for field in StorageSettings.model_fields if field in data})
    except ValidationError as error:
        wrong = ", ".join(str(found["loc"][0]) for found in error.errors(include_url=False, include_input=False))
        raise SettingsError("Some of its fields hold what they can't", reason=wrong) from None
    nested = data.get(SERVICE)
    if not nested:
        return StorageBlock(name, settings, None, tuple(secrets_of(settings)))
    service = made_of(nested)
    settings, credentials = completed(settings, service)
    return StorageBlock(name, settings, credentials, (*secrets_of(settings), *secrets_of(service)))
