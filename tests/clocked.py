"""A storage whose clock the test sets forward, as days that pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from holdfast.storage import MemoryStorage
from holdfast.storage.contract import ObjectInfo


class ClockedStorage(MemoryStorage):
    """Each object keeps the time at which it was put; `ahead` is how far the clock has been set forward."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = timedelta()
        self._times: dict[str, datetime] = {}

    def put(self, name: str, data: bytes | bytearray | memoryview, *, replace: bool = False, bulk: bool = False) -> None:
        super().put(name, data, replace=replace, bulk=bulk)
        self._times[name] = datetime.now(UTC) + self.ahead

    def head(self, name: str) -> ObjectInfo | None:
        info = super().head(name)
        return None if info is None else self._timed(info)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        return (self._timed(info) for info in super().list(prefix))

    def _timed(self, info: ObjectInfo) -> ObjectInfo:
        return replace(info, modified=self._times[info.name])
