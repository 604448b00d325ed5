"""The records of clean-ups: what one was about to forget and why, and what of it was done. Written once, kept for a year.

They are for people. Nothing is ever done because of a record: the next clean-up judges afresh.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from holdfast.errors import DamagedError, ObjectExistsError, ObjectNotFoundError
from holdfast.repository import canonical, names
from holdfast.repository.canonical import Json
from holdfast.repository.masterkey import Kind
from holdfast.repository.sealed import SealedObjects

_KEPT_FOR = timedelta(days=365)
_LOOKED_AT = 10
"""How many of the newest records are read for what was counted: a clean-up that could not prune counted nothing."""


@dataclass(frozen=True, slots=True)
class CleanupRecord:
    """One clean-up: its plan, and what was done, None where it was cut short; `damaged` says why a part can't be read."""

    name: str
    at: datetime
    plan: Json | None
    done: Json | None
    damaged: str | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """How many bytes of chunks a clean-up counted in the storage when it had pruned."""

    at: datetime
    stored_bytes: int


class Cleanups:
    """The clean-ups' records in one repository."""

    def __init__(self, sealed: SealedObjects) -> None:
        self._sealed = sealed

    def put_plan(self, plan: Json, now: datetime) -> str:
        """Write a plan, durably, before anything of it is done; drop what is older than a year. Return its name."""
        moment = now
        while True:
            name = names.cleanup(moment)
            try:
                self._sealed.put_record(Kind.CLEANUP, name, plan)
                break
            except ObjectExistsError:  # another in the same microsecond
                moment += timedelta(microseconds=1)
        self._sealed.storage.sync()
        self._drop_older(now - _KEPT_FOR)
        return name

    def put_done(self, name: str, done: Json) -> None:
        """Write what was done of the plan of this name, durably."""
        with suppress(ObjectExistsError):  # a retried request that had arrived
            self._sealed.put_record(Kind.CLEANUP, names.cleanup_done(name), done)
        self._sealed.storage.sync()

    def list(self, since: datetime | None = None) -> list[CleanupRecord]:
        """List the records, newest first; with `since` none that is older is read."""
        found = {
            info.name: moment
            for info in self._sealed.storage.list(names.CLEANUPS)
            if (moment := _plan_time(info.name)) and (since is None or moment >= since)
        }
        return [self._record(name, found[name]) for name in sorted(found, reverse=True)]

    def counted(self) -> Counted | None:
        """Return what the newest clean-up counted that pruned; None where none did, or it can't be read any more."""
        dones = [info.name for info in self._sealed.storage.list(names.CLEANUPS) if _done_time(info.name) is not None]
        for name in sorted(dones, reverse=True)[:_LOOKED_AT]:
            done, _ = self._read(name)
            stored = None if done is None else done.get("stored_bytes")
            if done is not None and isinstance(stored, int):
                return Counted(canonical.time_from(done["at"]), stored)
        return None

    def _record(self, name: str, at: datetime) -> CleanupRecord:
        plan, wrong = self._read(name)
        done, also_wrong = self._read(names.cleanup_done(name))
        return CleanupRecord(name, at, plan, done, wrong or also_wrong)

    def _read(self, name: str) -> tuple[Json | None, str | None]:
        try:
            return self._sealed.record(Kind.CLEANUP, name), None
        except ObjectNotFoundError:
            return None, None
        except DamagedError as error:
            return None, error.reason or "it can't be read"

    def _drop_older(self, before: datetime) -> None:
        for info in list(self._sealed.storage.list(names.CLEANUPS)):
            moment = names.cleanup_time(info.name)
            if moment is not None and moment < before:
                self._sealed.storage.delete(info.name)


def _done_time(name: str) -> datetime | None:
    moment = names.cleanup_time(name)
    return moment if moment is not None and name == names.cleanup_done(names.cleanup(moment)) else None


def _plan_time(name: str) -> datetime | None:
    moment = names.cleanup_time(name)
    return moment if moment is not None and name == names.cleanup(moment) else None
