"""A local Management API, and a client of it that does not wait long."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from holdfast.sources.supabase import ManagementApi
from holdfast.storage.retrying import RetryPolicy
from tests.sources.supabase.server import REF, TOKEN, ManagementServer

PATIENT = RetryPolicy(tries=4, first_seconds=0.01, longest_seconds=0.05, patience_seconds=10.0)


@pytest.fixture
def server() -> Iterator[ManagementServer]:
    with ManagementServer() as running:
        yield running


@pytest.fixture
def api(server: ManagementServer) -> Iterator[ManagementApi]:
    with ManagementApi(server.address, REF, SecretStr(TOKEN), timeout_seconds=5.0, policy=PATIENT) as opened:
        yield opened
