"""A storage around another one: the base of what adds retries or a limit. It hands everything on, and changes nothing.

`clock` alone is not handed on: it is made of the steps below, so that each of them gets what the wrapper adds.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from holdfast.storage.contract import ObjectInfo, Storage


class WrappedStorage(Storage):
    """Hand every call on to `inner`. A wrapper overrides what it changes."""

    def __init__(self, inner: Storage) -> None:
        self._inner = inner

    @property
    def inner(self) -> Storage:
        """The storage inside this one."""
        return self._inner

    @property
    def location(self) -> str:
        return self._inner.location

    @property
    def kind(self) -> str:
        return self._inner.kind

    @property
    def immutable_days(self) -> int:
        return self._inner.immutable_days

    def put(self, name: str, data: bytes | bytearray | memoryview, *, replace: bool = False, bulk: bool = False) -> None:
        self._inner.put(name, data, replace=replace, bulk=bulk)

    def get(self, name: str) -> bytes:
        return self._inner.get(name)

    def get_range(self, name: str, start: int, length: int) -> bytes:
        return self._inner.get_range(name, start, length)

    def stream(self, name: str, *, part_bytes: int = 1 << 20) -> Iterator[bytes]:
        return self._inner.stream(name, part_bytes=part_bytes)

    def head(self, name: str) -> ObjectInfo | None:
        return self._inner.head(name)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        return self._inner.list(prefix)

    def delete(self, name: str) -> None:
        self._inner.delete(name)

    def sync(self) -> None:
        self._inner.sync()

    def lock(self, name: str, until: datetime) -> None:
        self._inner.lock(name, until)

    def locked_until(self, name: str) -> datetime | None:
        return self._inner.locked_until(name)

    def tidy(self, before: datetime) -> int:
        return self._inner.tidy(before)

    def close(self) -> None:
        self._inner.close()
