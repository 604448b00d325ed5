"""Find replicas by what BACKUP_REPLICAS calls them: URLs, which need nothing, and names of blocks, which Prefect keeps.

Prefect is imported only where a name is that of a block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from holdfast.errors import HoldfastError
from holdfast.storage import StorageSettings
from holdfast.storage.replica import Replica


def find_replicas(names: Sequence[str], *, bandwidth_limit: int | None = None) -> list[Replica]:
    """Find replicas, in this order; one without a bandwidth limit of its own gets the given one.

    Raises NotFoundError, SettingsError, PrefectUnreachableError, each naming the replica.
    """
    return [_limited(_found(name), bandwidth_limit) for name in names]


def _found(name: str) -> Replica:
    if "://" in name:
        return Replica(name, StorageSettings.from_url(name))
    from blocks.opening import read_storage_block

    try:
        block = read_storage_block(name)
    except HoldfastError as error:
        raise type(error)(f"the replica {name}: {error.message}", reason=error.reason, next_step=error.next_step) from error
    return Replica(name, block.settings, block.credentials, block.secrets)


def _limited(replica: Replica, bandwidth_limit: int | None) -> Replica:
    if bandwidth_limit is None or replica.settings.bandwidth_limit is not None:
        return replica
    return replace(replica, settings=replica.settings.model_copy(update={"bandwidth_limit": bandwidth_limit}))
