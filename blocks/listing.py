"""The storages that are saved as blocks, as they may be shown: no secret of theirs is among it."""

from __future__ import annotations

from typing import Any

from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound

from blocks.opening import SERVICE, SLUG, read_storage_block
from blocks.server import asked
from blocks.services import has_credentials
from holdfast.errors import HoldfastError


def saved_storages() -> list[dict[str, Any]]:
    """Tell of every saved storage, by name; one that can't be used with why. Raises PrefectUnreachableError."""
    return [_document(name, service) for name, service in sorted(_names().items())]


def _names() -> dict[str, str | None]:
    """Name the blocks, each with the block of a provider that is nested in it."""
    with asked("it keeps the storages"), get_client(sync_client=True) as client:
        try:
            client.read_block_type_by_slug(SLUG)
        except ObjectNotFound:  # nobody has saved any
            return {}
        # All of them at once: the server knows no pages here.
        documents = client.read_block_documents_by_type(SLUG, include_secrets=False)
    return {document.name: _nested(document.block_document_references) for document in documents if document.name}


def _nested(references: dict[str, Any]) -> str | None:
    if SERVICE not in references:
        return None
    document = references[SERVICE]["block_document"]
    return f"{document['block_type']['slug']}/{document['name']}"


def _document(name: str, service: str | None) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": name, "type": None, "location": None, "service": service, "ownCredentials": False}
    others = {"storageClass": None, "immutableDays": 0, "bandwidthLimit": None, "offsite": None, "error": None}
    try:
        settings = read_storage_block(name).settings
    except HoldfastError as error:
        return shown | others | {"error": str(error)}
    return {
        "name": name,
        "type": settings.type,
        "location": settings.location,
        "service": service,
        "ownCredentials": service is None and has_credentials(settings),
        "storageClass": settings.storage_class,
        "immutableDays": settings.immutable_days,
        "bandwidthLimit": settings.bandwidth_limit,
        "offsite": settings.offsite,
        "error": None,
    }
