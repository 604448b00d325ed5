"""Pins: what somebody said must stay, whatever its age. A pin that can't be read counts as one.

Whoever pins puts the pin, then looks whether that backup is being forgotten; whoever forgets says so in its lease, then looks for
a pin. So of the two at least one sees the other. An ended pin is a record too, for replicas have to learn of it.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from holdfast.errors import DamagedError, ObjectNotFoundError, SettingsError
from holdfast.repository import canonical, names
from holdfast.repository.canonical import Json
from holdfast.repository.masterkey import Kind
from holdfast.repository.sealed import SealedObjects

PINNED, REMOVED = "pinned", "removed"
REASON_LENGTH_MAX = 500

_SCHEMA = 1
_THREADS = 8
_ENDED_FOR = timedelta(days=365)  # for so long a replica has the time to learn of the end
_NEVER = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Pin:
    """That a backup stays, or with the state `removed` that it need not any more; `damaged` says why it can't be read."""

    backup_id: str
    state: str
    at: datetime
    by: str
    reason: str
    damaged: str | None = None

    @classmethod
    def new(cls, backup_id: str, at: datetime, reason: str, *, state: str = PINNED) -> Pin:
        """Make the record of a pin, or of the end of one, by whoever runs this."""
        return cls(backup_id, state, at, f"{_user()}@{socket.gethostname()}", reason)

    @property
    def holds(self) -> bool:
        return self.state != REMOVED

    def __str__(self) -> str:
        if self.damaged:
            return f"pinned, and its pin is damaged: {self.damaged}"
        return f"pinned by {self.by} on {self.at:%Y-%m-%d}" + (f": {self.reason}" if self.reason else "")

    def to_json(self) -> Json:
        return {
            "schema": _SCHEMA,
            "backup_id": self.backup_id,
            "state": self.state,
            "at": canonical.time_text(self.at),
            "by": self.by,
            "reason": self.reason,
        }

    @classmethod
    def from_json(cls, name: str, value: Json) -> Pin:
        """Read the record that was stored under a name. Raises ValueError saying what is wrong."""
        try:
            found = cls(value["backup_id"], value["state"], canonical.time_from(value["at"]), value["by"], value["reason"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"a field is missing or wrong ({error})") from error
        if value.get("schema") != _SCHEMA or found.state not in (PINNED, REMOVED):
            raise ValueError("it has a state or schema that this Holdfast does not know")
        if found.backup_id != names.pin_backup(name):
            raise ValueError("it is the pin of another backup")
        return found


Records = dict[str, Pin]


class Pins:
    """The pins of one repository."""

    def __init__(self, sealed: SealedObjects) -> None:
        self._sealed = sealed

    def records(self) -> Records:
        """Return what is known of each backup that was ever pinned, the ended pins too."""
        listed = (name for info in self._sealed.storage.list(names.PINS) if (name := info.name) and names.pin_backup(name))
        with ThreadPoolExecutor(_THREADS, "holdfast-pins") as pool:
            return {pin.backup_id: pin for pin in pool.map(self._found, listed) if pin is not None}

    def record(self, backup_id: str) -> Pin | None:
        """Return what is known of one backup, an ended pin too."""
        return self._found(names.pin(backup_id))

    def find(self, backup_id: str) -> Pin | None:
        """Return a backup's pin, where it has one that holds."""
        pin = self.record(backup_id)
        return pin if pin is not None and pin.holds else None

    def put(self, pin: Pin) -> Pin:
        """Write a record in the place of the one before, durably, with a later time than that; return it as written."""
        if len(pin.reason) > REASON_LENGTH_MAX:
            raise SettingsError(f"the reason of a pin may have {REASON_LENGTH_MAX} characters, and this has {len(pin.reason)}")
        before = self.record(pin.backup_id)
        if before is not None and before.at >= pin.at:
            pin = replace(pin, at=before.at + timedelta(microseconds=1))
        self._sealed.put_record(Kind.PIN, names.pin(pin.backup_id), pin.to_json(), replace=True)
        self._sealed.storage.sync()
        return pin

    def take_back(self, backup_id: str) -> None:
        """Delete a pin that was put too late."""
        self._sealed.storage.delete(names.pin(backup_id))
        self._sealed.storage.sync()

    def read(self, name: str) -> Pin:
        """Read one record by its name. Raises ObjectNotFoundError, DamagedError."""
        try:
            return Pin.from_json(name, self._sealed.record(Kind.PIN, name))
        except ValueError as error:
            raise DamagedError(f"{name} is damaged", reason=str(error)) from error

    def tidy(self, living: set[str], now: datetime) -> int:
        """Delete pins that ended long ago, of backups that are gone; return how many."""
        ended = list(self._long_ended(living, now))
        for backup_id in ended:
            self._sealed.storage.delete(names.pin(backup_id))
        return len(ended)

    def _long_ended(self, living: set[str], now: datetime) -> Iterator[str]:
        for backup_id, pin in self.records().items():
            if not pin.holds and backup_id not in living and pin.at < now - _ENDED_FOR:
                yield backup_id

    def _found(self, name: str) -> Pin | None:
        try:
            return self.read(name)
        except ObjectNotFoundError:
            return None
        except DamagedError as error:
            return Pin(str(names.pin_backup(name)), PINNED, _NEVER, "", "", error.reason or "it can't be read")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"uid {os.getuid()}"


def later(one: Pin | None, other: Pin | None) -> Pin | None:
    """Of what source and replica know of one backup, return what counts."""
    if one is None or other is None:
        return one or other
    if one.damaged or other.damaged:
        return one if one.damaged else other
    return max(one, other, key=lambda pin: pin.at)
