"""Save the blocks that the settings describe on the Prefect server, under the names that flows load them by.

A save takes seconds and a look a fraction of one, so what is there already and says the same is left alone. The storage's class
is slow to import and large, so it is asked for only where the server does not know its shape, or has a provider's block in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from prefect.blocks.core import Block
from prefect.blocks.system import Secret
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import BlockDocumentUpdate
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from pydantic import SecretStr

from blocks.channels import channel_blocks, notification_blocks
from blocks.configuration_files import ConfigurationFiles
from blocks.database_target import DatabaseTarget
from blocks.encryption_key import EncryptionKey
from blocks.functions_directory import FunctionsDirectory
from blocks.names import own_name
from blocks.opening import DESCRIPTION, SERVICE, SLUG
from blocks.providers import provider_blocks
from blocks.server import asked
from blocks.services import has_credentials
from blocks.supabase_project import SupabaseProject
from holdfast.storage import StorageSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prefect.client.schemas.objects import BlockDocument

    from holdfast.settings import Settings

STORAGE = "holdfast-storage"
KEY = "holdfast-key"
DATABASE = "holdfast-database"
FUNCTIONS = "holdfast-functions"
CONFIGURATION = "holdfast-configuration"


def register_and_save(settings: Settings, further: Mapping[str, Block | None] | None = None) -> list[str]:
    """See to it that the server has these blocks as the settings are, and further ones, where None says that it shall have none.

    A target of a fleet has blocks of its own, named for it. Returns the names. Raises PrefectUnreachableError.
    """
    storage = settings.storage_settings
    functions = FunctionsDirectory.of(settings) or SupabaseProject.of(settings)
    wanted: dict[str, Block | None] = {
        KEY: EncryptionKey.of(settings),
        DATABASE: DatabaseTarget.of(settings),
        FUNCTIONS: functions,
        CONFIGURATION: ConfigurationFiles.of(settings),
        **provider_blocks(settings),
    }
    channels = {own_name(name, settings.target): block for name, block in channel_blocks(settings).items()}
    own = {own_name(name, settings.target): block for name, block in wanted.items()} | channels | dict(further or {})
    blocks = {name: block for name, block in own.items() if block is not None}
    storage_name = own_name(STORAGE, settings.target)
    with asked("it is to keep the blocks"):
        with get_client(sync_client=True) as client:
            storage_left = not _saved_without_its_class(client, storage_name, storage)
            changed = [name for name, block in blocks.items() if not _is_saved(client, name, block)]
            if isinstance(functions, SupabaseProject):  # the folder's would go before the project
                _forget(client, own_name(FUNCTIONS, settings.target), FunctionsDirectory.get_block_type_slug())
            _forget_others(client, channels)
            for name in [name for name, block in (further or {}).items() if block is None]:
                _forget(client, name, Secret.get_block_type_slug())
        if storage_left:
            save_storage(storage_name, storage)
        for name in changed:
            _save(name, blocks[name])
    return [storage_name, *blocks]


def save_storage(name: str, storage: StorageSettings, service: Block | None = None, *, keep_service: bool = True) -> None:
    """Save a BackupStorage block. A nested block that it has already is kept, unless credentials or another take its place.

    Raises PrefectUnreachableError.
    """
    from blocks.backup_storage import BackupStorage

    block = BackupStorage.saying(storage, service)
    with asked(f"it is to keep the storage {name}"):
        if service is None and keep_service and not has_credentials(storage):
            with get_client(sync_client=True) as client:
                found = _document(client, name, SLUG)
            if found is not None and found.data.get(SERVICE):
                block.service = BackupStorage._from_block_document(found).service
        _save(name, block)


def _saved_without_its_class(client: SyncPrefectClient, name: str, storage: StorageSettings) -> bool:
    """Have the server keep this storage where that needs no class of its block, and tell whether it has it now.

    Its nested block is the user's own; only credentials of ours put an end to it.
    """
    found = _document(client, name, SLUG)
    if found is None or found.block_schema is None or found.block_type is None:
        return False
    if set(found.block_schema.fields.get("properties", ())) != {*StorageSettings.model_fields, SERVICE}:
        return False
    if not set(found.block_schema.fields.get("secret_fields", ())) >= _SECRETS:
        return False
    if found.block_type.description != DESCRIPTION or (found.data.get(SERVICE) and has_credentials(storage)):
        return False
    secrets = {field: value.get_secret_value() for field, value in storage if isinstance(value, SecretStr)}
    values = storage.model_dump(mode="json") | secrets
    if {field: found.data.get(field) for field in values} == values:
        return True
    if found.data.get(SERVICE):
        return False
    client.update_block_document(found.id, BlockDocumentUpdate(block_schema_id=found.block_schema_id, data=values))
    return True


_SECRETS = {name for name, field in StorageSettings.model_fields.items() if SecretStr in get_args(field.annotation)}


def _is_saved(client: SyncPrefectClient, name: str, block: Block) -> bool:
    """Tell whether the server has this block, with the same values and of the same shape."""
    found = _document(client, name, block.get_block_type_slug())
    if found is None:
        return False
    schema, kind = found.block_schema, found.block_type
    if schema is None or schema.checksum != block._calculate_schema_checksum():
        return False
    if kind is None or (kind.name, kind.description) != (block.get_block_type_name(), block.get_description()):
        return False
    values = _values(block)
    return {field: found.data.get(field) for field in values} == values


def _forget(client: SyncPrefectClient, name: str, slug: str) -> None:
    found = _document(client, name, slug)
    if found is not None:
        client.delete_block_document(found.id)


def _forget_others(client: SyncPrefectClient, channels: Mapping[str, Block]) -> None:
    """A channel is one block: of another type with its name, it is what the channel was before its settings changed."""
    for found in notification_blocks(client, channels) if channels else ():
        if found.block_type is not None and found.block_type.slug != channels[str(found.name)].get_block_type_slug():
            client.delete_block_document(found.id)


def _document(client: SyncPrefectClient, name: str, slug: str) -> BlockDocument | None:
    try:
        return client.read_block_document_by_name(name, slug, include_secrets=True)
    except ObjectNotFound:
        return None


def _values(block: Block) -> dict[str, Any]:
    """Take the values as the server keeps them, secrets in clear: for comparing, never for showing."""
    fields = set(type(block).model_fields)
    return block.model_dump(mode="json", include=fields, context={"include_secrets": True})


def _save(name: str, block: Block) -> None:
    try:
        block.save(name, overwrite=True)
    except ObjectAlreadyExists:  # somebody else registers the same type right now, and is done with it by the next try
        block.save(name, overwrite=True)
