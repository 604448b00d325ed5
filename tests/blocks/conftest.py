"""A real Prefect server for the tests of blocks, once for all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prefect.testing.utilities import prefect_test_harness


@pytest.fixture(scope="package")
def prefect_server() -> Iterator[None]:
    """A Prefect server of its own, empty at first."""
    with prefect_test_harness(server_startup_timeout=120):
        yield
