"""S3 keeps the contract."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from holdfast.storage import Storage
from holdfast.storage.azure import AzureStorage
from tests.storage.conformance import StorageConformance
from tests.storage.servers import Server


class TestAzureStorage(StorageConformance):
    @pytest.fixture
    def storage(self, azurite: Server) -> Iterator[Storage]:
        with closing(AzureStorage(azurite.new_storage())) as storage:
            yield storage
