"""Repositories to test on: in memory and in a folder, encrypted and not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from holdfast.repository import Repository, UserKey
from holdfast.storage import LocalStorage, MemoryStorage, Storage

# A machine that is busy with other work is no failure.
settings.register_profile("holdfast", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("holdfast")


@pytest.fixture
def key() -> UserKey:
    return UserKey.parse("11" * 32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "repository"


@pytest.fixture(params=["memory", "local"])
def storage(request: pytest.FixtureRequest, folder: Path) -> Storage:
    return MemoryStorage() if request.param == "memory" else LocalStorage(folder)


@pytest.fixture(params=["encrypted", "plain"])
def repository(request: pytest.FixtureRequest, storage: Storage, key: UserKey) -> Repository:
    """One of each kind, for what must be true of all."""
    encrypt = request.param == "encrypted"
    return Repository.create(storage, key=key if encrypt else None, encrypt=encrypt)


@pytest.fixture
def sealed_in_memory(key: UserKey) -> Repository:
    """The usual kind, quick to make: encrypted, in memory."""
    return Repository.create(MemoryStorage(), key=key)
