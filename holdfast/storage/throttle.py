"""A limit on the bytes per second that go to and come from storages: one for each direction, shared by the whole process.

Everybody who opens a storage with the same limit shares one `Limiter` a direction, so threads and storages together keep to it.
What is counted is the content of objects; requests and listings are not. A throttled storage belongs inside the retries, so that
what is sent again counts again.

Turns are given in the order in which they are asked for, at fixed times, so nobody waits for ever. Small objects (a lease that
must be renewed in time) wait only for other small ones; the large ones that ask later pay for them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Literal

from holdfast.errors import ObjectNotFoundError, SettingsError, StorageUnreachableError
from holdfast.storage.contract import ObjectInfo, Storage
from holdfast.storage.wrapped import WrappedStorage

Direction = Literal["up", "down"]

_CREDIT_SECONDS = 0.1  # of unused time that may be made up for, or each pause that lasted too long would be lost
_PART_BYTES_MIN = 64 << 10
_PART_BYTES_MAX = 8 << 20  # larger than a chunk: from twice this limit on, objects are read in one go


class Limiter:
    """Gives turns so that no more than `bytes_per_second` pass in the long run, and in the short no more than an object above."""

    def __init__(self, bytes_per_second: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds_a_byte = 1 / bytes_per_second
        self._clock = clock
        self._lock = threading.Lock()
        self._free_at = self._free_for_small_at = clock()
        self.small_bytes = min(64 << 10, max(4 << 10, bytes_per_second // 4))
        self.part_bytes = min(_PART_BYTES_MAX, max(_PART_BYTES_MIN, bytes_per_second // 2))

    def wait(self, count: int) -> None:
        """Return when `count` bytes may pass. A wait that is interrupted gives its turn back."""
        pause_seconds = self.book(count)
        try:
            if pause_seconds > 0:
                time.sleep(pause_seconds)
        except BaseException:
            with self._lock:
                self._free_at -= count * self._seconds_a_byte
            raise

    def book(self, count: int) -> float:
        """Take the next free turn; return in how many seconds it is."""
        lasts_seconds = count * self._seconds_a_byte
        with self._lock:
            now = self._clock()
            earliest = now - _CREDIT_SECONDS
            turn = max(self._free_at, earliest)
            self._free_at = turn + lasts_seconds
            if count <= self.small_bytes:
                turn = max(self._free_for_small_at, earliest)
                self._free_for_small_at = turn + lasts_seconds
        return max(0.0, turn - now)


_limiters: dict[tuple[Direction, int], Limiter] = {}
_limiters_lock = threading.Lock()


def shared_limiter(direction: Direction, bytes_per_second: int) -> Limiter:
    """Return the limiter that the whole process shares for this direction and limit. Raises SettingsError."""
    if bytes_per_second < 1:
        raise SettingsError(f"a bandwidth limit can't be {bytes_per_second} bytes per second", reason="it must be 1 or more")
    with _limiters_lock:
        key = (direction, bytes_per_second)
        if key not in _limiters:
            _limiters[key] = Limiter(bytes_per_second)
        return _limiters[key]


class ThrottledStorage(WrappedStorage):
    """Keep what is put into and read from the storage inside to a limit."""

    def __init__(self, inner: Storage, bytes_per_second: int) -> None:
        super().__init__(inner)
        self._up = shared_limiter("up", bytes_per_second)
        self._down = shared_limiter("down", bytes_per_second)

    def put(self, name: str, data: bytes | bytearray | memoryview, *, replace: bool = False, bulk: bool = False) -> None:
        self._up.wait(len(data))
        self._inner.put(name, data, replace=replace, bulk=bulk)

    def get(self, name: str) -> bytes:
        info = self._in_parts(name)
        if info is not None:
            return b"".join(self._parts(info, self._down.part_bytes))
        data = self._inner.get(name)
        self._down.wait(len(data))  # its size was not known before: whoever reads next waits for it
        return data

    def get_range(self, name: str, start: int, length: int) -> bytes:
        data = self._inner.get_range(name, start, length)
        self._down.wait(len(data))
        return data

    def stream(self, name: str, *, part_bytes: int = 1 << 20) -> Iterator[bytes]:
        info = self._in_parts(name)
        if info is not None:
            yield from self._parts(info, min(part_bytes, self._down.part_bytes))
            return
        for part in self._inner.stream(name, part_bytes=part_bytes):
            self._down.wait(len(part))
            yield part

    def _in_parts(self, name: str) -> ObjectInfo | None:
        """Tell of an object that is to be read in parts, for in one go it would fill the line for long; None where it is not."""
        if self._down.part_bytes == _PART_BYTES_MAX:
            return None
        info = self._inner.head(name)
        if info is None:
            raise ObjectNotFoundError(f"{self.location} has no object {name!r}")
        return info if info.size_bytes > self._down.part_bytes else None

    def _parts(self, info: ObjectInfo, part_bytes: int) -> Iterator[bytes]:
        """Read part by part, each by a request of its own: one request that is read slowly would run into its time limit."""
        for start in range(0, info.size_bytes, part_bytes):
            length = min(part_bytes, info.size_bytes - start)
            self._down.wait(length)
            part = self._inner.get_range(info.name, start, length)
            if len(part) != length:
                raise self._replaced(info)
            yield part
        if self._inner.head(info.name) != info:
            raise self._replaced(info)

    def _replaced(self, info: ObjectInfo) -> StorageUnreachableError:
        return StorageUnreachableError(
            f"could not read {info.name!r} in {self.location} whole", reason="it was replaced while it was read"
        )
