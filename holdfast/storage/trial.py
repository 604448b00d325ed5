"""Try a storage from its settings: open it and probe it, and tell what came of it, whatever that is.

It is asked less patiently than a backup would: who tries storages out wants to know now.
"""

from __future__ import annotations

from contextlib import closing

from holdfast.errors import HoldfastError
from holdfast.storage.opening import open_storage, require_folder
from holdfast.storage.probe import ProbeReport, probe
from holdfast.storage.retrying import RetryPolicy
from holdfast.storage.settings import StorageSettings

SIZE_BYTES = 8 << 20
_NO_FOLDER = "Is it mounted? Make the folder, or let 'holdfast init' (the primary) or 'holdfast repo replicate' make it"
_RETRY = RetryPolicy(tries=2, patience_seconds=30)


def try_storage(settings: StorageSettings, *, credentials: object | None = None, size_bytes: int = SIZE_BYTES) -> ProbeReport:
    """Try a storage. A folder that is not there is not made: it may be a disk that is not mounted."""
    try:
        require_folder(settings, _NO_FOLDER)
        with closing(open_storage(settings, credentials=credentials, retry=_RETRY)) as storage:
            return probe(storage, size_bytes=size_bytes)
    except HoldfastError as error:
        return ProbeReport(settings.location, settings.type, error=error)
