"""Taking leases: put first, then look who else is there. What dead holders had begun is finished before they are removed."""

from __future__ import annotations

import logging
import os
import random
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

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
from holdfast.repository.lease import Lease, LeaseInfo, Scope
from holdfast.repository.masterkey import Kind
from holdfast.repository.sealed import SealedObjects

log = logging.getLogger(__name__)

TTL_SECONDS_MAX = 3600
_BORN_TOGETHER_SECONDS = 2.0  # how long two that started at once give each other way before one is told "busy"

LeaseInfos = list[LeaseInfo]
Intents = list[Json]


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
        scope: Scope = "data",
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
        with lease.renewed():
            yield lease

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
