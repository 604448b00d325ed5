"""Trying a storage out: write, read, list, lock and delete objects of its own, and measure how long that takes.

What is found is told, never raised, so that one storage's failure does not hide the others. The objects are named
`probe/<random>`, which no repository knows, and none is left behind.
"""

from __future__ import annotations

import secrets
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TypeVar

from holdfast.errors import DamagedError, HoldfastError, ObjectExistsError, ObjectLockedError, WorkFailedError
from holdfast.storage.contract import Storage

T = TypeVar("T")

_FOLDER = "probe"
_ROUNDS = 5
_SMALL_BYTES = 1024
_LOCK_SECONDS = 3  # storages tell time in whole seconds, so less could be over before it has begun
_LOCK_PATIENCE_SECONDS = 20
_LEFT_BEHIND = timedelta(hours=1)


@dataclass(slots=True)
class ProbeReport:
    """What a probe found. Where anything did not work `ok` is False, `error` says what, and later figures are missing."""

    location: str
    kind: str
    ok: bool = False
    latency_ms: float | None = None  # median of small put, head and get
    upload_bytes_per_second: float | None = None
    download_bytes_per_second: float | None = None
    put_if_absent: bool = False
    listed: bool = False
    deleted: bool = False
    lock: str | None = None  # None where `immutable_days` is 0; else who keeps the lock
    error: HoldfastError | None = None


def probe(storage: Storage, *, size_bytes: int = 8 << 20) -> ProbeReport:
    """Try everything that a repository needs of a storage, with an object of `size_bytes` for the throughput."""
    report = ProbeReport(storage.location, storage.kind)
    run = _Probe(storage, report)
    try:
        with run.cleaned_up():
            run.small_objects()
            run.put_if_absent()
            run.throughput(size_bytes)
            run.listing()
            if storage.immutable_days:
                run.lock()
    except HoldfastError as error:
        report.error = error
    report.ok = report.error is None
    return report


def put_first(storage: Storage, name: str, data: bytes) -> None:
    """Put the object with which something begins, and make sure by it that the storage never overwrites unasked.

    Raises ObjectExistsError, and WorkFailedError for a storage that does overwrite; there the object is deleted again.
    """
    storage.put(name, data)
    try:
        _require_refusal(storage, name, data + b"\n")
    except WorkFailedError:
        storage.delete(name)
        raise


def _require_refusal(storage: Storage, name: str, other: bytes) -> None:
    try:
        storage.put(name, other)
    except ObjectExistsError:
        return
    raise WorkFailedError(
        f"{storage.location} overwrote {name!r}",
        reason="it was asked to put it only where there is none",
        next_step="Use a service that keeps to If-None-Match, or another one: this one can't keep backups safe",
    )


class _Probe:
    def __init__(self, storage: Storage, report: ProbeReport) -> None:
        self._storage = storage
        self._report = report
        self._names: list[str] = []

    @contextmanager
    def cleaned_up(self) -> Iterator[None]:
        """Delete what was put, whatever happened; the first failure is the one to tell."""
        try:
            yield
        except BaseException:
            with suppress(HoldfastError):
                self._delete()
            raise
        self._delete()

    def small_objects(self) -> None:
        """Put, look up and read small objects: what that takes is the storage's latency."""
        seconds: list[float] = []
        for _ in range(_ROUNDS):
            name, data = self._new_name(), secrets.token_bytes(_SMALL_BYTES)
            put, _ = _timed(partial(self._storage.put, name, data))
            head, _ = _timed(partial(self._storage.head, name))
            get, found = _timed(partial(self._storage.get, name))
            seconds += (put, head, get)
            self._compare(name, found, data)
            self._compare(name, self._storage.get_range(name, 100, 50), data[100:150])
        self._report.latency_ms = statistics.median(seconds) * 1000

    def put_if_absent(self) -> None:
        """Put onto an object that is there: a storage that lets that happen would let two backups destroy each other."""
        _require_refusal(self._storage, self._names[0], b"another")
        self._report.put_if_absent = True

    def throughput(self, size_bytes: int) -> None:
        name, data = self._new_name(), secrets.token_bytes(size_bytes)

        def upload() -> None:
            self._storage.put(name, data)
            self._storage.sync()

        up, _ = _timed(upload)
        self._report.upload_bytes_per_second = size_bytes / up
        down, found = _timed(partial(self._storage.get, name))
        self._report.download_bytes_per_second = size_bytes / down
        self._compare(name, found, data)

    def listing(self) -> None:
        """Find all of our own in a listing; remove what a killed probe left behind long ago."""
        found = {info.name: info for info in self._storage.list(_FOLDER)}
        for name in self._names:
            if name not in found:
                raise WorkFailedError(f"{self._storage.location} does not list {name!r}", reason="it was put a moment ago")
        self._report.listed = True
        now = max(found[name].modified for name in self._names)
        for info in found.values():
            if info.modified < now - _LEFT_BEHIND:
                try:
                    self._storage.delete(info.name)
                except ObjectLockedError:
                    continue

    def lock(self) -> None:
        """Lock an object for some seconds, and see that the storage remembers it."""
        name = self._new_name()
        self._storage.put(name, b"locked")
        until = self._storage.clock() + timedelta(seconds=_LOCK_SECONDS)
        self._storage.lock(name, until)
        found = self._storage.locked_until(name)
        if found is None or found < until.replace(microsecond=0):
            raise WorkFailedError(f"{self._storage.location} did not keep the lock of {name!r}", reason=f"it tells {found}")
        self._report.lock = "best effort" if self._storage.kind in ("local", "memory") else "kept by the service"

    def _new_name(self) -> str:
        name = f"{_FOLDER}/{secrets.token_hex(8)}"
        self._names.append(name)
        return name

    def _compare(self, name: str, found: bytes, data: bytes) -> None:
        if found != data:
            raise DamagedError(f"{self._storage.location} gave other bytes for {name!r} than were put")

    def _delete(self) -> None:
        for name in self._names:
            self._delete_unlocked(name)
        for name in self._names:
            if self._storage.head(name) is not None:
                raise WorkFailedError(f"{self._storage.location} still has {name!r}", reason="it was deleted a moment ago")
        self._report.deleted = True

    def _delete_unlocked(self, name: str) -> None:
        """Delete it, waiting for our own short lock to end."""
        give_up = time.monotonic() + _LOCK_PATIENCE_SECONDS
        while True:
            try:
                self._storage.delete(name)
                return
            except ObjectLockedError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.5)


def _timed(do: Callable[[], T]) -> tuple[float, T]:
    started = time.perf_counter()
    result = do()
    return max(time.perf_counter() - started, 1e-9), result
