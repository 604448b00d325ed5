"""A real Prefect server for the tests of blocks, once for all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.postgres.servers import server_folder
from tests.prefect_homes import used_prefect


@pytest.fixture(scope="package")
def prefect_server() -> Iterator[None]:
    """A Prefect server of its own, empty at first."""
    with server_folder() as folder, used_prefect(folder / "home"):
        yield
