"""Which part of the chunks was read when, so that every byte is read in time whoever reads, and whatever runs were missed.

A time says when the reading of a part began: what was stored before it was read by it. Nothing is ever taken for read that was
not: a record that can't be read, and a time that has not come yet, count as never.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from holdfast.errors import DamagedError, ObjectNotFoundError
from holdfast.repository import canonical, names
from holdfast.repository.canonical import Json
from holdfast.repository.masterkey import Kind
from holdfast.repository.sealed import SealedObjects

log = logging.getLogger(__name__)

_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class ReadParts:
    """When each of the parts was last read, from the first on; `bad` are the backups that the last check found damaged."""

    began_at: datetime
    read_at: tuple[datetime | None, ...]
    bad: tuple[str, ...] = ()

    @classmethod
    def none(cls, count: int, now: datetime) -> Self:
        """Begin: nothing was read yet."""
        return cls(now, (None,) * count)

    @property
    def count(self) -> int:
        return len(self.read_at)

    def divided(self, count: int) -> ReadParts:
        """Return the same with another number of parts: each was read when all the parts were that hold its chunks."""
        if count == self.count:
            return self
        common = math.gcd(count, self.count)
        earliest = [_earliest(self.read_at[first::common]) for first in range(common)]
        return replace(self, read_at=tuple(earliest[number % common] for number in range(count)))

    def as_of(self, now: datetime) -> ReadParts:
        """Return the same without times that have not come yet, which a clock that was wrong has left: they count as never."""
        known = tuple(at if at is not None and at <= now else None for at in self.read_at)
        return replace(self, began_at=min(self.began_at, now), read_at=known)

    def due(self, now: datetime, *, within: timedelta, interval: timedelta) -> list[int]:
        """Number the parts to read now: the one read the longest ago, and what else would be late by the next run."""
        last = [at or self.began_at for at in self.read_at]
        order = sorted(range(self.count), key=lambda number: (self.read_at[number] is not None, last[number], number))
        late = now + interval * 0.5 - within
        return [number + 1 for place, number in enumerate(order) if place == 0 or last[number] < late]

    def with_read(self, part: int, at: datetime) -> ReadParts:
        """Return the same after part number `part` was read."""
        return replace(self, read_at=(*self.read_at[: part - 1], at, *self.read_at[part:]))

    def whole_since(self) -> datetime | None:
        """Tell since when every part was read: what was stored before is read in full. None where one never was."""
        return _earliest(self.read_at)

    def to_json(self) -> Json:
        return {
            "schema": _SCHEMA,
            "began_at": canonical.time_text(self.began_at),
            "read_at": [None if at is None else canonical.time_text(at) for at in self.read_at],
            "bad": list(self.bad),
        }

    @classmethod
    def from_json(cls, value: Json) -> Self:
        """Raises ValueError saying what is wrong."""
        try:
            times = tuple(None if at is None else canonical.time_from(at) for at in value["read_at"])
            found = cls(canonical.time_from(value["began_at"]), times, tuple(str(one) for one in value["bad"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"a field is missing or wrong ({error})") from error
        if value.get("schema") != _SCHEMA or not times:
            raise ValueError("it has a schema that this Holdfast does not know, or no parts")
        return found


class Checks:
    """The record of one repository's checks."""

    def __init__(self, sealed: SealedObjects) -> None:
        self._sealed = sealed

    def parts(self) -> ReadParts | None:
        """Return what was read when; None where nothing is known."""
        try:
            return ReadParts.from_json(self._sealed.record(Kind.CHECK, names.READ_PARTS))
        except ObjectNotFoundError:
            return None
        except (DamagedError, ValueError) as error:
            log.warning("what was read when is not known, so everything is read anew: %s", error)
            return None

    def put(self, parts: ReadParts) -> None:
        """Write it in the place of the record before, durably."""
        self._sealed.put_record(Kind.CHECK, names.READ_PARTS, parts.to_json(), replace=True)
        self._sealed.storage.sync()


def _earliest(times: tuple[datetime | None, ...]) -> datetime | None:
    known = [at for at in times if at is not None]
    return min(known) if len(known) == len(times) else None
