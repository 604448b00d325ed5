"""The storage contract over any store that obstore speaks to.

Names are held to letters, digits, `.`, `_` and `-`, which every file system and object store keeps as they are.
Foreign errors end here: what leaves is an error of `holdfast.errors` that names the object and the storage.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import ObjectStore

from holdfast.errors import (
    HoldfastError,
    ObjectExistsError,
    ObjectNotFoundError,
    SettingsError,
    StorageFullError,
    StorageUnreachableError,
)
from holdfast.storage.contract import ObjectInfo, Storage

_PART = r"(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._-]{1,255}"
_NAME = re.compile(rf"{_PART}(?:/{_PART})*")
_FULL = {f"(os error {number})" for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)}


def checked_name(name: str) -> str:
    """Return the name when it is one that every storage keeps as it is. Raises SettingsError."""
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"{name!r} can't be the name of an object",
            reason="a name has parts of letters, digits, '.', '_' and '-' with '/' between, and no '.' or '..' part",
        )
    return name


class ObstoreStorage(Storage):
    """Keep objects in a store of obstore's."""

    def __init__(self, store: ObjectStore, location: str) -> None:
        self._store = store
        self._location = location

    @property
    def location(self) -> str:
        return self._location

    def put(self, name: str, data: bytes | bytearray | memoryview, *, replace: bool = False, bulk: bool = False) -> None:
        del bulk
        with self._errors(name, "store"):
            # Never in parts: one request is all or nothing on every store, and objects are a few MiB.
            self._store.put(checked_name(name), data, mode="overwrite" if replace else "create", use_multipart=False)

    def get(self, name: str) -> bytes:
        with self._errors(name, "read"):
            found = self._store.get(checked_name(name))
            data = found.bytes().to_bytes()
            self._check_length(name, len(data), found.meta["size"])
            return data

    def get_range(self, name: str, start: int, length: int) -> bytes:
        with self._errors(name, "read"):
            # Stores answer a range that begins at or behind the end each in its own way; the contract says: no bytes.
            if start >= self._store.head(checked_name(name))["size"] or length <= 0:
                return b""
            return self._store.get_range(name, start=start, length=length).to_bytes()

    def stream(self, name: str, *, part_bytes: int = 1 << 20) -> Iterator[bytes]:
        with self._errors(name, "read"):
            found = self._store.get(checked_name(name))
            came_bytes = 0
            for part in found.stream(min_chunk_size=part_bytes):
                came_bytes += len(part)
                for at in range(0, len(part), part_bytes):  # some stores give all they have at once
                    yield bytes(part[at : at + part_bytes])
            self._check_length(name, came_bytes, found.meta["size"])

    def head(self, name: str) -> ObjectInfo | None:
        try:
            with self._errors(name, "look up"):
                meta = self._store.head(checked_name(name))
        except ObjectNotFoundError:
            return None
        return ObjectInfo(name, meta["size"], meta["last_modified"])

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        if prefix:
            checked_name(prefix)
        below = f"{prefix}/" if prefix else ""
        with self._errors(prefix or "all objects", "list"):
            for batch in self._store.list(prefix or None, chunk_size=1000):
                for meta in batch:
                    # Anything else is not ours: a left-over, an editor's file, the empty object that a console makes of a folder.
                    if _NAME.fullmatch(meta["path"]) and meta["path"].startswith(below):
                        yield ObjectInfo(meta["path"], meta["size"], meta["last_modified"])

    def delete(self, name: str) -> None:
        try:
            with self._errors(name, "delete"):
                self._store.delete(checked_name(name))
        except ObjectNotFoundError:
            return

    def sync(self) -> None:
        """Do nothing: what these stores have accepted is durable. Local files override this."""

    def _check_length(self, name: str, came_bytes: int, announced_bytes: int) -> None:
        if came_bytes != announced_bytes:
            raise StorageUnreachableError(
                f"could not read {name!r} in {self._location} whole", reason=f"{came_bytes} of {announced_bytes} bytes came"
            )

    @contextmanager
    def _errors(self, name: str, action: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise ObjectNotFoundError(f"{self._location} has no object {name!r}") from error
        except AlreadyExistsError as error:
            raise ObjectExistsError(f"{self._location} already has an object {name!r}") from error
        except HoldfastError:
            raise
        except (BaseError, OSError) as error:
            self._raise(name, action, error)

    def _raise(self, name: str, action: str, error: Exception) -> NoReturn:
        reason = (str(error).splitlines() or [type(error).__name__])[0]  # the lines below are obstore's debugging text
        if any(mark in str(error) for mark in _FULL) or getattr(error, "errno", None) in {
            errno.ENOSPC,
            errno.EDQUOT,
            errno.EFBIG,
        }:
            raise StorageFullError(
                f"no space is left in {self._location} to {action} {name!r}",
                reason=reason,
                next_step="Earlier backups are intact: free some space, or run 'holdfast repo prune', then try again",
            ) from error
        raise StorageUnreachableError(f"could not {action} {name!r} in {self._location}", reason=reason) from error
