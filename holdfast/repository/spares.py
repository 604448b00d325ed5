"""Spare copies: while a repository is read, its replicas give what its own storage can't.

Nothing that a replica says is believed: what it gives is proven like any other object, and a replica that does not answer, or
holds another repository, is passed over. Only reading comes here; backups, checks and prunes look at the own storage alone.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from holdfast.errors import (
    DamagedError,
    HoldfastError,
    ObjectNotFoundError,
    RefusedError,
    StorageDeniedError,
    StorageUnreachableError,
)
from holdfast.repository.description import Description, read_description
from holdfast.repository.proven import read_bounded
from holdfast.storage import Storage
from holdfast.storage.opening import require_folder

if TYPE_CHECKING:
    from holdfast.storage.replica import Replica

log = logging.getLogger(__name__)

SPARED_LISTED_MAX = 20
REST_SECONDS = 60.0  # for which a storage that did not answer is not asked first

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SparedObject:
    """An object that was read from a replica, and why its own storage could not give it."""

    object: str
    why: str
    replica: str

    def __str__(self) -> str:
        return f"{self.object}: {self.why}; read from {self.replica}"


@dataclass(frozen=True, slots=True)
class Spare(Generic[T]):
    """A good copy: what it holds, proven, its stored bytes, and whose it is."""

    content: T
    stored: bytes
    replica: str


class Spares:
    """The replicas of one repository, each opened when it is first needed. Safe to use from several threads."""

    def __init__(self, replicas: Sequence[Replica], description: Description | None) -> None:
        self._standbys = [_Standby(replica, description) for replica in replicas]
        self._lock = threading.Lock()
        self._own_rests_until = 0.0
        self._told: set[str] = set()
        self.spared: list[SparedObject] = []
        self.spared_count = 0

    def __bool__(self) -> bool:
        return bool(self._standbys)

    def read(self, name: str, own: Callable[[], T], prove: Callable[[bytes], T], bytes_max: int) -> T:
        """Return what `own` gives, or else the first good copy; raises what `own` raised where there is none."""
        if time.monotonic() < self._own_rests_until:
            found = self.find(name, prove, bytes_max)
            if found is not None:
                self._note(name, "its storage did not answer a moment ago", found.replica)
                return found.content
        try:
            return own()
        except (ObjectNotFoundError, DamagedError, StorageUnreachableError, StorageDeniedError) as error:
            if isinstance(error, (StorageUnreachableError, StorageDeniedError)):
                self._own_rests_until = time.monotonic() + REST_SECONDS
            found = self.find(name, prove, bytes_max)
            if found is None:
                raise
            self._note(name, _why(error), found.replica)
            return found.content

    def find(self, name: str, prove: Callable[[bytes], T], bytes_max: int) -> Spare[T] | None:
        """Return the first copy that `prove` accepts; it raises ValueError for one that is not right."""
        for standby, storage in self._open():
            try:
                stored = read_bounded(storage, name, bytes_max)
                return Spare(prove(stored), stored, standby.name)
            except ObjectNotFoundError:
                continue
            except ValueError as error:
                log.debug("%s in the replica %s is of no use: %s", name, standby.name, error)
            except HoldfastError as error:
                standby.rest(error)
        return None

    def holder(self, name: str, bytes_min: int) -> str | None:
        """Return the first replica that lists the object, long enough to be whole. That is no proof of what it holds."""
        for standby, storage in self._open():
            try:
                info = storage.head(name)
            except HoldfastError as error:
                standby.rest(error)
                continue
            if info is not None and info.size_bytes >= bytes_min:
                return standby.name
        return None

    def storages(self) -> Iterator[tuple[str, Storage]]:
        """Yield name and storage of each replica that answers."""
        for standby, storage in self._open():
            yield standby.name, storage

    def close(self) -> None:
        """Close what was opened."""
        for standby in self._standbys:
            standby.close()

    def _open(self) -> Iterator[tuple[_Standby, Storage]]:
        for standby in self._standbys:
            storage = standby.open()
            if storage is not None:
                yield standby, storage

    def _note(self, name: str, why: str, replica: str) -> None:
        with self._lock:
            self.spared_count += 1
            if len(self.spared) < SPARED_LISTED_MAX:
                self.spared.append(SparedObject(name, why, replica))
            is_first = replica not in self._told
            self._told.add(replica)
        if is_first:
            log.warning("%s: %s; it is read from the replica %s, and so is all else like it", name, why, replica)


class _Standby:
    """One replica: opened once, passed over for a while when it does not answer, and for good when it is another repository."""

    def __init__(self, replica: Replica, description: Description | None) -> None:
        self.name = replica.name
        self._replica = replica
        self._description = description
        self._storage: Storage | None = None
        self._rests_until = 0.0
        self._lock = threading.Lock()

    def open(self) -> Storage | None:
        """Return its storage, or None while it is passed over."""
        with self._lock:
            if time.monotonic() < self._rests_until:
                return None
            if self._storage is None:
                try:
                    self._storage = self._opened()
                except RefusedError as error:
                    log.warning("the replica %s is not used: %s", self.name, error)
                    self._rests_until = float("inf")
                except HoldfastError as error:
                    self.rest(error)
            return self._storage

    def rest(self, error: HoldfastError) -> None:
        log.warning("the replica %s is passed over for a while: %s", self.name, error)
        self._rests_until = time.monotonic() + REST_SECONDS

    def close(self) -> None:
        with self._lock:
            if self._storage is not None:
                self._storage.close()
                self._storage = None

    def _opened(self) -> Storage:
        require_folder(self._replica.settings, "Is it mounted?")
        storage = self._replica.open()
        try:
            self._require_same(storage)
        except BaseException:
            storage.close()
            raise
        return storage

    def _require_same(self, storage: Storage) -> None:
        """Raise RefusedError for another repository; where repository.json is damaged, what is encrypted still proves itself."""
        if self._description is None:
            return
        try:
            found = read_description(storage)
        except DamagedError:
            if self._description.encrypted:
                return
            raise
        if found.id != self._description.id:
            raise RefusedError(f"{storage.location} holds another repository", reason=f"its id is {found.id}")


def _why(error: HoldfastError) -> str:
    if isinstance(error, ObjectNotFoundError):
        return "it is missing"
    return error.reason or error.message
