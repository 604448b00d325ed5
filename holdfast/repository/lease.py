"""Leases: who is at work in a repository, so that prune never deletes under somebody's feet.

A lease is an object of its own, put first; only then the others are listed, so of two that exclude each other at least
one sees the other and steps back. Shared leases go together; an exclusive one goes with no other of its scope. A lease
expires by the storage's own clock when it has not been renewed for its ttl. A holder that slept past that finds its
object gone, or the gap between two renewals too long, and stops: it never commits.
"""

from __future__ import annotations

import logging
import os
import random
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

from holdfast.errors import (
    BusyError,
    DamagedError,
    HoldfastError,
    LeaseLostError,
    ObjectNotFoundError,
    SettingsError,
    UnreachableError,
)
from holdfast.repository import canonical, names
from holdfast.repository.canonical import Json
from holdfast.repository.masterkey import Kind
from holdfast.repository.sealed import SealedObjects

log = logging.getLogger(__name__)

TTL_SECONDS_MAX = 3600
_RENEWALS_A_TTL = 4
_BORN_TOGETHER_SECONDS = 2.0  # how long two that started at once give each other way before one is told "busy"


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
    scope: str = "data"
    pending: bool = False
    intent: Json | None = None


LeaseInfos = list[LeaseInfo]
Intents = list[Json]


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


class Leases:
    """The leases of one repository. `finish` is told the intent of a dead holder before its lease is removed."""

    def __init__(self, sealed: SealedObjects, finish: Callable[[Json], None]) -> None:
        self._sealed = sealed
        self._finish = finish

    def list(self) -> LeaseInfos:
        """List all leases, the expired too."""
        return self._list(self._sealed.storage.clock())

    def someone_excludes(self) -> bool:
        """Tell whether somebody holds an exclusive lease now."""
        return any(lease.exclusive and not lease.expired and lease.scope != "keys" for lease in self.list())

    def intents(self) -> Intents:
        """List what holders, alive or dead, have written down that they are about to do. Writes nothing to the storage."""
        return [lease.intent for lease in self._list(canonical.now()) if lease.intent is not None]

    @contextmanager
    def hold(
        self,
        purpose: str,
        *,
        exclusive: bool = False,
        holder: str | None = None,
        ttl_seconds: float = 120,
        wait_seconds: float = 0,
        scope: str = "data",
    ) -> Iterator[Lease]:
        """Hold a lease, renewed by a thread, until the block ends. Raises BusyError naming who holds one that excludes it."""
        if not 0 < ttl_seconds <= TTL_SECONDS_MAX:
            raise SettingsError(f"a lease can't last {ttl_seconds} seconds", reason=f"allowed is up to {TTL_SECONDS_MAX}")
        record: Json = {
            "schema": 1,
            "purpose": purpose,
            "holder": holder or f"{socket.gethostname()}:{os.getpid()}",
            "exclusive": exclusive,
            "ttl_seconds": ttl_seconds,
            "scope": scope,
            "intent": None,
        }
        lease = self._acquire(record, wait_seconds)
        keeper = threading.Thread(target=lease._keep_renewing, name=f"lease-{lease.id}", daemon=True)
        keeper.start()
        try:
            yield lease
        finally:
            lease._ended.set()
            keeper.join()
            lease._give_back()

    def _acquire(self, record: Json, wait_seconds: float) -> Lease:
        started = time.monotonic()
        while True:
            lease, blockers = self._try(record)
            if lease is not None:
                return lease
            waited = time.monotonic() - started
            patience = max(wait_seconds, _BORN_TOGETHER_SECONDS if all(b.pending for b in blockers) else 0.0)
            if waited >= patience:
                raise _busy(record["purpose"], blockers[0])
            time.sleep(min(random.uniform(0.05, 0.3) * (1 + waited), 5.0))  # noqa: S311  only to fall out of step

    def _try(self, record: Json) -> tuple[Lease | None, LeaseInfos]:
        """Put a lease, then look who else is there; step back when somebody excludes it."""
        lease_id = secrets.token_hex(8)
        name = names.lease(lease_id)
        mine = {**record, "id": lease_id, "since": canonical.time_text(canonical.now()), "pending": True, "token": 0}
        self._sealed.put_record(Kind.LEASE, name, mine)
        try:
            info = self._sealed.storage.head(name)
            if info is None:
                raise LeaseLostError(f"the new lease for {record['purpose']} vanished")
            others = [other for other in self._list(info.modified) if other.id != lease_id]
            blockers = [other for other in others if not other.expired and _exclude(record, other)]
            if blockers:
                self._sealed.storage.delete(name)
                return None, blockers
            # Higher than every token seen, and than those of leases that ended long ago, whose objects are gone.
            token = max([int(info.modified.timestamp() * 1e6), *(other.token + 1 for other in others)])
            lease = Lease(self._sealed, {**mine, "pending": False, "token": token}, info.modified)
            lease.check()
            self._bury([other for other in others if other.expired])
        except BaseException:
            self._sealed.storage.delete(name)
            raise
        return lease, []

    def _bury(self, expired: LeaseInfos) -> None:
        """Finish what dead holders were about to do, then remove their leases."""
        for dead in expired:
            if dead.intent is not None:
                try:
                    self._finish(dead.intent)
                except UnreachableError:
                    raise
                except HoldfastError as error:  # check reports what is wrong there; new work must not wait for it
                    log.warning("what %s was about to do could not be finished: %s", dead.holder, error)
            self._sealed.storage.delete(names.lease(dead.id))

    def _list(self, now: datetime) -> LeaseInfos:
        found: LeaseInfos = []
        for info in self._sealed.storage.list(names.LEASES):
            lease_id = info.name.rpartition("/")[2]
            try:
                record = self._sealed.record(Kind.LEASE, info.name)
                expires_at = info.modified + timedelta(seconds=record["ttl_seconds"])
                found.append(
                    LeaseInfo(
                        id=lease_id,
                        purpose=record["purpose"],
                        holder=record["holder"],
                        exclusive=record["exclusive"],
                        since=canonical.time_from(record["since"]),
                        expires_at=expires_at,
                        expired=expires_at < now,
                        token=record["token"],
                        scope=record["scope"],
                        pending=record["pending"],
                        intent=record["intent"],
                    )
                )
            except ObjectNotFoundError:
                continue  # given back between the listing and the reading
            except (DamagedError, KeyError, TypeError, ValueError):
                # Nobody can say what it is, so it counts as the strongest there can be.
                expires_at = info.modified + timedelta(seconds=TTL_SECONDS_MAX)
                expired = expires_at < now
                found.append(
                    LeaseInfo(lease_id, "an unreadable lease", "unknown", True, info.modified, expires_at, expired, scope="any")
                )
        return found


def _clock() -> float:
    """Seconds that also pass while the machine sleeps, where the system has such a clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def _exclude(record: Json, other: LeaseInfo) -> bool:
    same_scope = other.scope in (record["scope"], "any")
    return same_scope and (bool(record["exclusive"]) or other.exclusive)


def _busy(purpose: str, blocker: LeaseInfo) -> BusyError:
    kind = "exclusive" if blocker.exclusive else "shared"
    return BusyError(
        f"{purpose} can't start now",
        reason=f"{blocker.holder} holds a {kind} lease for {blocker.purpose} since {blocker.since:%Y-%m-%d %H:%M:%S} UTC",
        next_step=f"Try again when it has ended; if its process died, it ends by itself at {blocker.expires_at:%H:%M:%S} UTC",
    )
