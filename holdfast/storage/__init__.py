"""Where objects lie: one contract, and what keeps it."""

from holdfast.storage.contract import ObjectInfo, Storage
from holdfast.storage.local import LocalStorage
from holdfast.storage.memory import MemoryStorage
from holdfast.storage.opening import open_storage
from holdfast.storage.settings import StorageSettings

__all__ = ["LocalStorage", "MemoryStorage", "ObjectInfo", "Storage", "StorageSettings", "open_storage"]
