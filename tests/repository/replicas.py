"""Replicas for the tests: good ones, and every bad kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.errors import StorageUnreachableError
from holdfast.repository import Repository, UserKey
from holdfast.storage import MemoryStorage, Storage, StorageSettings
from holdfast.storage.contract import ObjectInfo
from holdfast.storage.replica import Replica

from .making import back_up

Objects = dict[str, bytes]


@dataclass(frozen=True, kw_only=True)
class HeldReplica(Replica):
    """A replica whose storage is at hand."""

    storage: Storage

    def open(self) -> Storage:
        return self.storage


class Unreachable(MemoryStorage):
    """A storage that does not answer while it is `down`, and counts how often it was asked."""

    down = True
    asked = 0

    def _answer(self) -> None:
        self.asked += 1
        if self.down:
            raise StorageUnreachableError("the storage does not answer", reason="connection refused")

    def get(self, name: str) -> bytes:
        self._answer()
        return super().get(name)

    def stream(self, name: str, *, part_bytes: int = 1 << 20) -> Iterator[bytes]:
        self._answer()
        return super().stream(name, part_bytes=part_bytes)

    def head(self, name: str) -> ObjectInfo | None:
        self._answer()
        return super().head(name)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        self._answer()
        return super().list(prefix)


def objects(storage: Storage) -> Objects:
    return {info.name: storage.get(info.name) for info in storage.list()}


def holding(content: Objects, storage: Storage | None = None) -> Storage:
    storage = storage if storage is not None else MemoryStorage()
    for name, data in content.items():
        storage.put(name, data)
    return storage


def replica(name: str, content: Objects | Storage) -> Replica:
    storage = content if isinstance(content, Storage) else holding(content)
    return HeldReplica(name, StorageSettings(type="s3", bucket=name), storage=storage)


def flipped(data: bytes) -> bytes:
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 0x20]) + data[at + 1 :] if data else b"x"


def bad_replicas(content: Objects, key: UserKey | None) -> list[Replica]:
    """One that does not answer, one that is all damaged, one of another repository, and one whose owner tampers."""
    other = MemoryStorage()
    back_up(Repository.create(other, key=key, encrypt=key is not None), "backup_1", {"a": b"another"})
    chunks = sorted(name for name in content if name.startswith("chunks/"))
    rest = sorted(name for name in content if not name.startswith("chunks/") and name != "repository.json")
    swapped = dict(zip(chunks + rest, chunks[1:] + chunks[:1] + rest[1:] + rest[:1], strict=True))
    return [
        replica("asleep", Unreachable()),
        replica("rotten", {name: flipped(data) for name, data in content.items()}),
        replica("another", other),
        replica("hostile", {name: content[swapped.get(name, name)] for name in content}),
    ]
