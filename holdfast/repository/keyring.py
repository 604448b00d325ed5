"""The keys of a repository: list, add, rotate, remove. No chunk is ever rewritten for it.

The last usable key can't be removed. Changes are made under an exclusive lease of their own scope, so that two removals at
once can't each take the other for the key that stays.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Literal

from holdfast.errors import (
    DamagedError,
    KeyFileDamagedError,
    LastKeyError,
    NotFoundError,
    ObjectLockedError,
    ObjectNotFoundError,
    SettingsError,
    WrongKeyError,
)
from holdfast.repository import names
from holdfast.repository.description import Description
from holdfast.repository.keyfile import KeyFile
from holdfast.repository.leases import Leases
from holdfast.repository.masterkey import MasterKey
from holdfast.repository.proven import FILE_BYTES_MAX, read_proven
from holdfast.repository.userkey import UserKey
from holdfast.storage import Storage

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What a person may know of a key; `damaged` says why its file can't be read, and the other fields then say little."""

    id: str
    label: str
    kind: Literal["raw", "passphrase", "unknown"]
    created_at: datetime
    state: Literal["active", "removed", "damaged"]
    usable_with_current: bool
    damaged: str | None = None


@dataclass(frozen=True, slots=True)
class OpenedKey:
    """What a user key opened."""

    key_id: str
    master: MasterKey
    description: Description


def read_key_files(storage: Storage) -> Iterator[tuple[str, KeyFile | str]]:
    """Read all key files: id, and the file or what is wrong with it."""
    for info in sorted(storage.list(names.KEYS), key=lambda info: info.name):
        key_id = names.key_id(info.name)
        if key_id is None:
            continue
        try:
            yield key_id, read_proven(storage, info.name, partial(KeyFile.from_bytes, key_id=key_id), bytes_max=FILE_BYTES_MAX)
        except ObjectNotFoundError:
            continue
        except ValueError as error:
            yield key_id, str(error)


def open_with(storage: Storage, user_key: UserKey, description: Description | None = None) -> OpenedKey:
    """Find the key file that this user key opens, of the repository described if that is known.

    Raises WrongKeyError, KeyFileDamagedError, DamagedError.
    """
    damaged: dict[str, str] = {}
    found = set()
    for key_id, file in read_key_files(storage):
        if isinstance(file, str):
            damaged[key_id] = file
            continue
        if description is not None and file.repository_id != description.id:
            continue  # left behind by a creation that never ended
        found.add(key_id)
        try:
            opened = file.unwrap(user_key)
        except ValueError as error:
            damaged[key_id] = str(error)
            continue
        if opened is not None:
            return OpenedKey(key_id, *opened)
    if description is not None and description.first_key_id not in found | set(damaged):
        damaged[str(description.first_key_id)] = "it is missing"
    if damaged:
        raise KeyFileDamagedError(
            f"{', '.join(names.key(key_id) for key_id in damaged)} in {storage.location} can't be read",
            reason=f"{'; '.join(sorted(set(damaged.values())))}; and the key that was given opens no other key file",
            next_step="Bring the key file back from a copy of the repository, or use another key",
        )
    if not found:
        raise DamagedError(f"{storage.location} has no key file", reason=f"all of {names.KEYS}/ is gone")
    raise WrongKeyError(
        f"the key that was given opens no key file of {storage.location}",
        next_step="Check BACKUP_ENCRYPTION_KEY (or the file or block it comes from); the key files are intact",
    )


class KeyRing:
    """The user keys that open one repository."""

    def __init__(self, storage: Storage, opened: OpenedKey | None, current: UserKey | None, leases: Leases) -> None:
        self._storage = storage
        self._opened = opened
        self._current = current
        self._leases = leases

    @property
    def current_id(self) -> str | None:
        """The id of the key file that opened the repository; None where it is not encrypted."""
        return self._opened.key_id if self._opened else None

    def ids(self) -> list[str]:
        """List the ids of all keys there are or were."""
        return [key_id for key_id, _ in self._files()]

    def list(self) -> list[KeyInfo]:
        """List all keys there are or were, oldest first."""
        return sorted(
            (self._info(key_id, file) for key_id, file in read_key_files(self._storage)), key=lambda key: key.created_at
        )

    def add(self, new: UserKey, label: str = "") -> KeyInfo:
        """Let another user key open the repository."""
        with self._change("adding a key"):
            return self._add(new, label)

    def rotate(self, new: UserKey, label: str = "") -> KeyInfo:
        """Add a key, make sure that it works, remove the one in use, and go on with the new one."""
        with self._change("rotating the key"):
            added = self._add(new, label)
            opened = open_with(self._storage, new, self._need().description)
            self._remove(self._need().key_id)
            self._opened, self._current = opened, new
            return added

    def remove(self, key_id: str) -> None:
        """Take a key out of use for good. Raises LastKeyError, NotFoundError."""
        with self._change("removing a key"):
            self._remove(key_id)

    def _add(self, new: UserKey, label: str) -> KeyInfo:
        opened = self._need()
        file = KeyFile.wrap(new, opened.master, opened.description, label=label, key_id=secrets.token_hex(8))
        self._storage.put(names.key(file.id), file.to_bytes())
        self._storage.sync()
        return self._info(file.id, file)

    def _remove(self, key_id: str) -> None:
        opened = self._need()
        files = dict(self._files())
        file = files.get(key_id)
        if file is None or (isinstance(file, KeyFile) and file.state == "removed"):
            raise NotFoundError(f"there is no key {key_id!r}", next_step="'holdfast keys list' shows the ids")
        if not any(other != key_id and self._usable(content) for other, content in files.items()):
            raise LastKeyError(
                f"key {key_id} is the last one that opens this repository",
                reason="without it nothing in it could ever be read again",
                next_step="Add another key first, or use 'holdfast keys rotate'",
            )
        if isinstance(file, str):
            file = KeyFile(
                key_id, opened.description.id, "raw", "", opened.description.created_at, "active", None, None, None, ""
            )
        locked_until = self._storage.locked_until(names.key(key_id))
        try:
            self._storage.put(names.key(key_id), file.removed(opened.master).to_bytes(), replace=True)
        except ObjectLockedError as error:  # a storage without versions, which can't keep the old beside the new
            raise ObjectLockedError(
                f"key {key_id} can't be removed yet and still opens the repository",
                reason=error.reason or error.message,
                next_step=f"Remove it when its lock has ended, at {locked_until}; other keys that were added work",
            ) from error
        if locked_until is not None and locked_until > self._storage.clock():
            self._storage.lock(names.key(key_id), locked_until)  # lest the key come back by the deletion of its tombstone
            log.warning(
                "key %s opens the repository no more, but %s keeps the old version of its file until %s: until then, whoever has "
                "that key and may read old versions there can still get at the master key",
                key_id,
                self._storage.location,
                locked_until,
            )
        self._storage.sync()

    def _files(self) -> Iterator[tuple[str, KeyFile | str]]:
        """Read the key files of this repository; one that a creation left behind that never ended is none of its."""
        for key_id, file in read_key_files(self._storage):
            if isinstance(file, str) or (self._opened is not None and file.repository_id == self._opened.description.id):
                yield key_id, file

    def _usable(self, file: KeyFile | str) -> bool:
        return isinstance(file, KeyFile) and file.state == "active" and file.is_authentic(self._need().master)

    def _info(self, key_id: str, file: KeyFile | str) -> KeyInfo:
        if isinstance(file, str):
            return KeyInfo(key_id, "", "unknown", datetime.min.replace(tzinfo=UTC), "damaged", False, file)
        return KeyInfo(key_id, file.label, file.kind, file.created_at, file.state, self._opens(key_id, file))

    def _opens(self, key_id: str, file: KeyFile) -> bool:
        if key_id == self.current_id and file.state == "active":
            return True
        if self._current is None or self._current.kind == "passphrase":
            return False  # a passphrase made a file of its own each time it was added; trying each takes long
        try:
            return file.unwrap(self._current) is not None
        except ValueError:
            return False

    @contextmanager
    def _change(self, purpose: str) -> Iterator[None]:
        self._need()
        with self._leases.hold(purpose, exclusive=True, scope="keys", wait_seconds=10):
            yield

    def _need(self) -> OpenedKey:
        if self._opened is None:
            raise SettingsError(
                "this repository is not encrypted, so it has no keys",
                reason="whether it is encrypted was fixed when it was made",
                next_step="Make another repository with BACKUP_ENABLE_ENCRYPTION=true",
            )
        return self._opened
