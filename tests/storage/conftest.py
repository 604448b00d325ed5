"""The storage servers as fixtures; whoever can't take a fixture calls `tests.storage.servers` itself."""

from __future__ import annotations

import pytest

from tests.storage.servers import Server, azurite_server, gcs_server, moto_server


@pytest.fixture
def moto() -> Server:
    """The S3 server of this test process."""
    return moto_server()


@pytest.fixture
def azurite() -> Server:
    """The Azure server of this test process."""
    return azurite_server()


@pytest.fixture
def gcs() -> Server:
    """The Google Cloud Storage server of this test process."""
    return gcs_server()
