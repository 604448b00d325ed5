"""Storage in this process's memory: for tests, and for trying things out. It ends with the process."""

from __future__ import annotations

from obstore.store import MemoryStore

from holdfast.storage.objectstore import ObstoreStorage


class MemoryStorage(ObstoreStorage):
    """Keep objects in memory."""

    def __init__(self) -> None:
        super().__init__(MemoryStore(), "memory://")

    @property
    def kind(self) -> str:
        return "memory"

    def put(self, name: str, data: bytes | bytearray | memoryview, *, replace: bool = False, bulk: bool = False) -> None:
        super().put(
            name, bytes(data), replace=replace, bulk=bulk
        )  # the store keeps the buffer itself, which its owner may use again
