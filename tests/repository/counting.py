"""A storage in a folder that counts what is read of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from holdfast.storage import LocalStorage
from holdfast.storage.wrapped import WrappedStorage


class Counting(WrappedStorage):
    """Counts what is read, by the folder of its name."""

    def __init__(self, folder: Path) -> None:
        super().__init__(LocalStorage(folder))
        self.read: Counter[str] = Counter()

    def get(self, name: str) -> bytes:
        self.read[name.partition("/")[0]] += 1
        return super().get(name)
