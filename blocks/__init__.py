"""Prefect blocks: where backups are stored, with which key, what is protected. Flows are told names and load these.

Each is imported when it is first named: BackupStorage brings the collections of three clouds, which are slow to import.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from blocks.backup_storage import BackupStorage
    from blocks.database_target import DatabaseTarget
    from blocks.encryption_key import EncryptionKey

__all__ = ["BackupStorage", "DatabaseTarget", "EncryptionKey"]

_MODULES = {
    "BackupStorage": "blocks.backup_storage",
    "DatabaseTarget": "blocks.database_target",
    "EncryptionKey": "blocks.encryption_key",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'blocks' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
