"""Google Cloud Storage keeps the contract, as gcp-storage-emulator shows it (what that lacks: `emulators/gcs.py`)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from holdfast.storage import Storage
from holdfast.storage.gcs import GcsStorage
from tests.storage.conformance import StorageConformance
from tests.storage.servers import Server


class TestGcsStorage(StorageConformance):
    @pytest.fixture
    def storage(self, gcs: Server) -> Iterator[Storage]:
        storage = GcsStorage(gcs.new_storage())
        yield storage
        storage.close()


class TestGcsStorageBelowAPrefix(StorageConformance):
    @pytest.fixture
    def storage(self, gcs: Server) -> Iterator[Storage]:
        storage = GcsStorage(gcs.new_storage().model_copy(update={"prefix": "some/folder"}))
        yield storage
        storage.close()
