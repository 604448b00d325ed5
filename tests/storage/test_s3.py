"""S3 keeps the contract."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from holdfast.storage import Storage
from holdfast.storage.s3 import S3Storage
from tests.storage.conformance import StorageConformance
from tests.storage.servers import Server


class TestS3Storage(StorageConformance):
    @pytest.fixture
    def storage(self, moto: Server) -> Iterator[Storage]:
        with closing(S3Storage(moto.new_storage())) as storage:
            yield storage
