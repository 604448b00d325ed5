"""The contract that every storage keeps: a flat space of named, immutable objects.

What the repository relies on, and the conformance suite in `tests/storage/` checks:

- A name is relative, of `/`-separated parts; it never has an empty part, `.` or `..`.
- `put` is all or nothing: whoever reads sees the whole object or none, and a failed or killed `put` leaves none.
- `put` without `replace` is put-if-absent: of two at once one wins, the other raises `ObjectExistsError`.
- A read sees every `put` that returned before it began, and so does a listing.
- `delete` of what is not there is no error. `put` with `replace`, reads, listing and deletion may be repeated;
  an implementation retries by itself what may be repeated and gives up with an error whose `retryable` is true.
- `modified` is the storage's own clock, the same for all who use the storage.
- Everything may be called from several threads at once.
- Errors are those of `holdfast.errors`, and name the object and the storage, never a credential. A bucket that does not
  exist, or a credential that is refused, is never mistaken for an object that does not exist.
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from holdfast.errors import StorageUnreachableError


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a listing knows of an object; `modified` is aware UTC, by the storage's clock."""

    name: str
    size_bytes: int
    modified: datetime


class Storage(ABC):
    """A place that keeps objects."""

    @property
    @abstractmethod
    def location(self) -> str:
        """Where this is, for a person to read: a URL without credentials."""

    @property
    @abstractmethod
    def kind(self) -> str:
        """What it is: `local`, `s3`, `gcs`, `azure` or `memory`."""

    @property
    def immutable_days(self) -> int:
        """For how many days what belongs to a backup is to be locked; 0 where nothing is."""
        return 0

    @abstractmethod
    def put(self, name: str, data: bytes | bytearray | memoryview, *, replace: bool = False, bulk: bool = False) -> None:
        """Store an object whole. `bulk` objects are many and seldom read: they get the storage class of the settings.

        Raises ObjectExistsError (without `replace`), ObjectLockedError, StorageFullError, StorageDeniedError,
        StorageUnreachableError.
        """

    @abstractmethod
    def get(self, name: str) -> bytes:
        """Read an object whole. Raises ObjectNotFoundError, StorageUnreachableError."""

    @abstractmethod
    def get_range(self, name: str, start: int, length: int) -> bytes:
        """Read `length` bytes from byte `start`; fewer only where the object ends. Raises ObjectNotFoundError."""

    @abstractmethod
    def stream(self, name: str, *, part_bytes: int = 1 << 20) -> Iterator[bytes]:
        """Read an object in parts, in order, holding about one part in memory. Raises ObjectNotFoundError."""

    @abstractmethod
    def head(self, name: str) -> ObjectInfo | None:
        """Tell what is known of an object, or None where there is none."""

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """List the objects below the folder `prefix` (no trailing `/`; "" is all), in no promised order."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Remove an object; no error where there is none. Raises ObjectLockedError."""

    @abstractmethod
    def sync(self) -> None:
        """Return once every object put through this instance would survive a loss of power."""

    def lock(self, name: str, until: datetime) -> None:
        """Keep an object from being changed or deleted before that time, as well as this storage can; never shorten a lock.

        Nothing is done where `immutable_days` is 0. Raises ObjectNotFoundError, SettingsError (the bucket has no such thing).
        """
        del name, until

    def locked_until(self, name: str) -> datetime | None:
        """Tell until when an object is locked; None where it is not, or where there is none."""
        del name
        return None

    def clock(self) -> datetime:
        """Tell the time by the storage's own clock, aware UTC, with the help of a short-lived object `clock/<random>`."""
        name = f"clock/{secrets.token_hex(8)}"
        self.put(name, b"")
        try:
            info = self.head(name)
        finally:
            self.delete(name)
        if info is None:
            raise StorageUnreachableError(f"{self.location} lost {name!r} right after storing it")
        return info.modified

    def tidy(self, before: datetime) -> int:
        """Remove what killed puts before that time left behind, where a storage has such a thing; return how many."""
        del before
        return 0

    def close(self) -> None:  # noqa: B027  most storages hold nothing open
        """Release what the storage holds open."""
