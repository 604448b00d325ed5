"""Save the blocks that the settings describe on the Prefect server, under the names that flows load them by.

A save takes seconds and a look a fraction of one, so what is there already and says the same is left alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
from prefect.blocks.core import Block
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

from blocks.backup_storage import BackupStorage
from blocks.database_target import DatabaseTarget
from blocks.encryption_key import EncryptionKey
from holdfast.errors import PrefectUnreachableError

if TYPE_CHECKING:
    from holdfast.settings import Settings

STORAGE = "holdfast-storage"
KEY = "holdfast-key"
DATABASE = "holdfast-database"


def register_and_save(settings: Settings) -> list[str]:
    """See to it that the server has these blocks as the settings are; return their names. Raises PrefectUnreachableError."""
    wanted: dict[str, Block | None] = {
        STORAGE: BackupStorage.of(settings),
        KEY: EncryptionKey.of(settings),
        DATABASE: DatabaseTarget.of(settings),
    }
    blocks = {name: block for name, block in wanted.items() if block is not None}
    try:
        with get_client(sync_client=True) as client:
            changed = [name for name, block in blocks.items() if not _is_saved(client, name, block)]
        for name in changed:
            _save(name, blocks[name])
    except httpx.TransportError as error:
        raise PrefectUnreachableError("The Prefect server does not answer", reason=str(error) or type(error).__name__) from error
    return list(blocks)


def _is_saved(client: SyncPrefectClient, name: str, block: Block) -> bool:
    """Tell whether the server has this block, with the same values and of the same shape."""
    try:
        found = client.read_block_document_by_name(name, block.get_block_type_slug(), include_secrets=True)
    except ObjectNotFound:
        return False
    schema, kind = found.block_schema, found.block_type
    if schema is None or schema.checksum != block._calculate_schema_checksum():
        return False
    if kind is None or (kind.name, kind.description) != (block.get_block_type_name(), block.get_description()):
        return False
    values = _values(block)
    return {field: found.data.get(field) for field in values} == values


def _values(block: Block) -> dict[str, Any]:
    """Take the values as the server keeps them, secrets in clear: for comparing, never for showing."""
    fields = set(type(block).model_fields)
    return block.model_dump(mode="json", include=fields, context={"include_secrets": True})


def _save(name: str, block: Block) -> None:
    try:
        block.save(name, overwrite=True)
    except ObjectAlreadyExists:  # somebody else registers the same type right now, and is done with it by the next try
        block.save(name, overwrite=True)
