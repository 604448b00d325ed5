"""Storage in this process's memory: for tests, and for trying things out. It ends with the process."""

from __future__ import annotations

from obstore.store import MemoryStore

from holdfast.storage.objectstore import ObstoreStorage


class MemoryStorage(ObstoreStorage):
    """Keep objects in memory."""

    def __init__(self) -> None:
        super().__init__(MemoryStore(), "memory://")
