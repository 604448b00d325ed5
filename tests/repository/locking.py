"""What the tests of immutability ask of a repository and its storage."""

from __future__ import annotations

import io
from datetime import datetime

from holdfast.repository import Manifest, Repository, names
from holdfast.repository.presence import References
from holdfast.storage import Storage

from .making import ZSTD


def chunks(storage: Storage) -> set[str]:
    return {info.name for info in storage.list("chunks")}


def needed_chunks(repository: Repository, manifest: Manifest) -> set[str]:
    references = References(repository._sealed, lambda *_: None)
    references.add(manifest)
    return {names.chunk(chunk_id) for chunk_id in references.ids}


def fail_to_commit(repository: Repository, data: bytes) -> None:
    with repository.lease("backup") as lease, repository.writer(lease, compression=ZSTD) as writer:
        writer.store("a", "k", io.BytesIO(data))


def lock_of(storage: Storage, name: str) -> datetime:
    found = storage.locked_until(name)
    assert found is not None, f"{name} is not locked"
    return found
