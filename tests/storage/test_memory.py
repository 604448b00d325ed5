"""Storage in memory keeps the contract."""

from __future__ import annotations

import pytest

from holdfast.storage import MemoryStorage, Storage

from .conformance import StorageConformance


class TestMemoryStorage(StorageConformance):
    @pytest.fixture
    def storage(self) -> Storage:
        return MemoryStorage()
