"""Leases: who is at work in a repository, so that prune never deletes under somebody's feet.

A lease is an object of its own, put first; only then the others are listed, so of two that exclude each other at least
one sees the other and steps back. Shared leases go together; an exclusive one goes with no other of its scope. A lease
expires by the storage's own clock when it has not been renewed for its ttl. A holder that slept past that finds its
object gone, or the gap between two renewals too long, and stops: it never commits.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NoReturn

from holdfast.errors import HoldfastError, LeaseLostError
from holdfast.repository import names
from holdfast.repository.canonical import Json
from holdfast.repository.masterkey import Kind
from holdfast.repository.sealed import SealedObjects

log = logging.getLogger(__name__)

Scope = Literal["data", "keys", "turn", "any"]
"""What a lease is of: the backups and their chunks, the keys, or only a turn at some work, which is in nobody else's way."""

_RENEWALS_A_TTL = 4


@dataclass(frozen=True, slots=True)
class LeaseInfo:
    """A lease as others see it; `since` is its holder's clock, the rest the storage's."""

    id: str
    purpose: str
    holder: str
    exclusive: bool
    since: datetime
    expires_at: datetime
    expired: bool
    token: int = 0
    scope: Scope = "data"
    pending: bool = False
    intent: Json | None = None


class Lease:
    """A lease that this process holds."""

    def __init__(self, sealed: SealedObjects, record: Json, modified: datetime) -> None:
        self._sealed = sealed
        self._record = record
        self._name = names.lease(record["id"])
        self._modified = modified
        self._renewed_clock = _clock()
        self._lost: str | None = None
        self._lock = threading.Lock()
        self._ended = threading.Event()

    @property
    def id(self) -> str:
        return str(self._record["id"])

    @property
    def token(self) -> int:
        """The fencing token: higher than that of every lease there was when this one began."""
        return int(self._record["token"])

    @property
    def purpose(self) -> str:
        return str(self._record["purpose"])

    @property
    def holder(self) -> str:
        return str(self._record["holder"])

    @property
    def exclusive(self) -> bool:
        return bool(self._record["exclusive"])

    @property
    def renewed_at(self) -> datetime:
        """When it was renewed last, by the storage's clock: a storage time that is surely not in the future."""
        return self._modified

    def check(self) -> None:
        """Make sure, at the storage, that this lease never lapsed. Raises LeaseLostError."""
        with self._lock:
            self._renew()

    def check_locally(self) -> None:
        """Raise LeaseLostError when it is known here that the lease is lost, or it may be; asks nobody, so costs nothing."""
        if self._lost or _clock() - self._renewed_clock > self._record["ttl_seconds"]:
            raise self._lost_error()

    def intend(self, intent: Json | None) -> None:
        """Write down what is about to be done, so that whoever finds this lease expired can finish it."""
        with self._lock:
            self._record = {**self._record, "intent": intent}
            self._renew()

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """Renew it in a thread until the block ends, then give it back."""
        keeper = threading.Thread(target=self._keep_renewing, name=f"lease-{self.id}", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            self._ended.set()
            keeper.join()
            self._give_back()

    def _give_back(self) -> None:
        """End the lease; with something begun and not finished it is left expired, so that the next holder finishes it."""
        try:
            if self._record["intent"] is not None and self._lost is None:
                self._sealed.put_record(Kind.LEASE, self._name, {**self._record, "ttl_seconds": 0}, replace=True)
            else:
                self._sealed.storage.delete(self._name)
        except HoldfastError as error:  # it ends by itself; the work that was done under it counts
            log.warning("lease %s could not be given back: %s", self.id, error)

    def _renew(self) -> None:
        if self._lost:
            raise self._lost_error()
        storage, clock = self._sealed.storage, _clock()
        if storage.head(self._name) is None:
            self._lose("it was removed after it had expired")
        self._sealed.put_record(Kind.LEASE, self._name, self._record, replace=True)
        info = storage.head(self._name)
        if info is None:
            self._lose("it was removed after it had expired")
        if (info.modified - self._modified).total_seconds() > self._record["ttl_seconds"]:
            storage.delete(self._name)
            self._lose("it was not renewed in time")
        self._modified, self._renewed_clock = info.modified, clock

    def _lose(self, reason: str) -> NoReturn:
        self._lost = reason
        raise self._lost_error()

    def _lost_error(self) -> LeaseLostError:
        return LeaseLostError(
            f"the lease for {self.purpose} was lost",
            reason=self._lost or "it was not renewed in time",
            next_step="Nothing was committed: start it again",
        )

    def _keep_renewing(self) -> None:
        while not self._ended.wait(self._record["ttl_seconds"] / _RENEWALS_A_TTL):
            try:
                self.check()
            except LeaseLostError:
                log.warning("lease %s for %s is lost: %s", self.id, self.purpose, self._lost)
                return
            except HoldfastError as error:
                log.warning("lease %s could not be renewed now: %s", self.id, error)

    def __repr__(self) -> str:
        return f"Lease({self.id}, {self.purpose!r}, token={self.token})"


def _clock() -> float:
    """Seconds that also pass while the machine sleeps, where the system has such a clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
