"""Tries again what a storage did not answer, with growing random pauses: the one place where that is decided.

Only `StorageUnreachableError` is tried again. What is tried again has the effect of one try:

- A put-if-absent whose answer was lost may have been done. When the next try finds the object, its bytes tell whose it is.
- A stream that broke goes on where it stopped, and only in the same object; its end is believed when its length is right.
- A listing begins again and leaves out what it has told already.

Errors leave without the libraries' errors that caused them: those quote what a service answered, and services quote credentials.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import TypeVar

from holdfast.errors import HoldfastError, ObjectExistsError, ObjectNotFoundError, StorageUnreachableError
from holdfast.storage.contract import ObjectInfo, Storage
from holdfast.storage.wrapped import WrappedStorage

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_MARK_BYTES = 16


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and how patiently. Before try n+1 a random time of up to first_seconds × 2^(n-1) passes."""

    tries: int = 6
    first_seconds: float = 0.5
    longest_seconds: float = 20.0
    patience_seconds: float = 300.0  # no try begins later than this after the first

    def pause_seconds(self, tried: int) -> float:
        """Choose the pause after so many tries. Random from 0 on, so that many that failed at once don't come back at once."""
        longest = min(self.longest_seconds, self.first_seconds * 2 ** (tried - 1))
        return random.uniform(0, longest)  # noqa: S311  no secret


class Tries:
    """The tries of one call."""

    def __init__(self, policy: RetryPolicy, what: str) -> None:
        self._policy = policy
        self._what = what
        self._began = time.monotonic()
        self._tried = 0

    def pause(self, error: StorageUnreachableError) -> None:
        """Wait before the next try. Raises the error, with how often it was tried, when there is to be none."""
        self._tried += 1
        pause_seconds = self._policy.pause_seconds(self._tried)
        passed_seconds = time.monotonic() - self._began
        if self._tried >= self._policy.tries or passed_seconds + pause_seconds > self._policy.patience_seconds:
            raise self._final(error, passed_seconds) from None
        _log.info("%s: %s; try %d in %.1f s", self._what, error, self._tried + 1, pause_seconds)
        time.sleep(pause_seconds)

    def moved_on(self) -> None:
        """Begin to count anew: something came of the last try."""
        self._began = time.monotonic()
        self._tried = 0

    def _final(self, error: StorageUnreachableError, passed_seconds: float) -> StorageUnreachableError:
        if self._tried == 1:
            return error
        often = f"tried {self._tried} times in {passed_seconds:.0f} s"
        reason = f"{error.reason} ({often})" if error.reason else often
        return type(error)(error.message, reason=reason, next_step=error.next_step)


@contextmanager
def _own_words() -> Iterator[None]:
    try:
        yield
    except HoldfastError as error:
        raise error from None


class RetryingStorage(WrappedStorage):
    """Try again what the storage inside did not answer."""

    def __init__(self, inner: Storage, policy: RetryPolicy | None = None) -> None:
        super().__init__(inner)
        self._policy = policy or RetryPolicy()

    def put(self, name: str, data: bytes | bytearray | memoryview, *, replace: bool = False, bulk: bool = False) -> None:
        tries = Tries(self._policy, f"store {name}")
        perhaps_done = False
        while True:
            try:
                with _own_words():
                    return self._inner.put(name, data, replace=replace, bulk=bulk)
            except ObjectExistsError:
                if perhaps_done and self._holds(name, data):
                    return None
                raise
            except StorageUnreachableError as error:
                tries.pause(error)
                perhaps_done = True

    def get(self, name: str) -> bytes:
        return self._again(f"read {name}", lambda: self._inner.get(name))

    def get_range(self, name: str, start: int, length: int) -> bytes:
        return self._again(f"read {name}", lambda: self._inner.get_range(name, start, length))

    def stream(self, name: str, *, part_bytes: int = 1 << 20) -> Iterator[bytes]:
        info = self._present(name)
        given_bytes = 0
        try:
            with _own_words():
                for part in self._inner.stream(name, part_bytes=part_bytes):
                    yield part
                    given_bytes += len(part)
        except StorageUnreachableError as error:
            _log.info("read %s: %s; going on at byte %d", name, error, given_bytes)
        else:
            if given_bytes == info.size_bytes:
                return
        for part in self._rest(info, given_bytes, part_bytes):
            yield part
            given_bytes += len(part)
        if given_bytes != info.size_bytes:
            raise self._changed(name, f"{given_bytes} bytes came and it had {info.size_bytes} when reading began")

    def _rest(self, info: ObjectInfo, start: int, part_bytes: int) -> Iterator[bytes]:
        """Read on in parts, for as long as it is the same object."""
        while True:
            part = self.get_range(info.name, start, part_bytes)
            if self._present(info.name) != info:
                raise self._changed(info.name, "it was replaced while it was read")
            if not part:
                return
            yield part
            start += len(part)

    def head(self, name: str) -> ObjectInfo | None:
        return self._again(f"look up {name}", lambda: self._inner.head(name))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        tries = Tries(self._policy, f"list {prefix or 'all objects'}")
        told = bytearray()  # a mark for each name: a listing may have millions
        while True:
            known = {bytes(told[at : at + _MARK_BYTES]) for at in range(0, len(told), _MARK_BYTES)}
            try:
                with _own_words():
                    for info in self._inner.list(prefix):
                        mark = blake2b(info.name.encode(), digest_size=_MARK_BYTES).digest()
                        if mark in known:
                            continue
                        told += mark
                        yield info
                return
            except StorageUnreachableError as error:
                if len(told) > len(known) * _MARK_BYTES:
                    tries.moved_on()
                tries.pause(error)

    def delete(self, name: str) -> None:
        self._again(f"delete {name}", lambda: self._inner.delete(name))

    def sync(self) -> None:
        self._again("make durable", self._inner.sync)

    def lock(self, name: str, until: datetime) -> None:
        self._again(f"lock {name}", lambda: self._inner.lock(name, until))

    def locked_until(self, name: str) -> datetime | None:
        return self._again(f"look up the lock of {name}", lambda: self._inner.locked_until(name))

    def tidy(self, before: datetime) -> int:
        return self._again("tidy up", lambda: self._inner.tidy(before))

    def _again(self, what: str, call: Callable[[], _T]) -> _T:
        tries = Tries(self._policy, what)
        while True:
            try:
                with _own_words():
                    return call()
            except StorageUnreachableError as error:
                tries.pause(error)

    def _holds(self, name: str, data: bytes | bytearray | memoryview) -> bool:
        try:
            return self.get(name) == data
        except ObjectNotFoundError:
            return False

    def _present(self, name: str) -> ObjectInfo:
        info = self.head(name)
        if info is None:
            raise ObjectNotFoundError(f"{self.location} has no object {name!r}")
        return info

    def _changed(self, name: str, reason: str) -> StorageUnreachableError:
        return StorageUnreachableError(f"could not read {name!r} in {self.location} whole", reason=reason)
