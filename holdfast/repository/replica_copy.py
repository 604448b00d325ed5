"""Copying one object into a replica: looked at before, put if absent, read back after.

With the key every object is proven before it is copied, so damage never spreads. Without, it must at least look like an object
of its kind; and what a replica already holds is then never replaced by something that nobody can tell to be better.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from holdfast.errors import (
    ObjectExistsError,
    ObjectLockedError,
    ObjectNotFoundError,
    StorageUnreachableError,
)
from holdfast.repository import canonical, names, sealing
from holdfast.repository.backups import manifest_of
from holdfast.repository.masterkey import Kind
from holdfast.repository.pins import Pin
from holdfast.repository.proof import Proof
from holdfast.repository.proven import read_bounded
from holdfast.repository.report import ReplicationReport
from holdfast.repository.sealed import SealedObjects
from holdfast.storage import Storage

GONE = "it is missing at the source"
_UNREADABLE_IN_A_ROW_MAX = 5  # after that it is the source that fails, not an object

Judge = Callable[[str, bytes], object]


def judge_with_key(sealed: SealedObjects) -> Judge:
    """Return what proves an object to be right; it raises ValueError."""

    def judge(name: str, stored: bytes) -> None:
        chunk_id = names.chunk_id(name)
        if chunk_id is not None:
            sealed.unsealed_chunk(chunk_id, stored)
        elif names.manifest_parts(name) is not None:
            manifest_of(name, sealed.unsealed(Kind.MANIFEST, name, stored))
        elif names.pin_backup(name) is not None:
            Pin.from_json(name, canonical.from_bytes(sealed.unsealed(Kind.PIN, name, stored)))
        elif names.audit_parts(name) is not None:
            canonical.from_bytes(sealed.unsealed(Kind.AUDIT, name, stored))
        else:
            Proof.from_json(canonical.from_bytes(sealed.unsealed(Kind.PROOF, name, stored)))

    return judge


def judge_without_key(name: str, stored: bytes) -> None:
    """Raise ValueError for an encrypted object that can't be right, as far as that can be told without the key."""
    sealing.require_plausible(_kind(name), stored, encrypted=True)


class ObjectCopy:
    """Copies sealed objects from one storage to another; may be used from several threads."""

    def __init__(
        self,
        source: Storage,
        target: Storage,
        *,
        judge: Judge,
        proves: bool,
        read_back: bool,
        before_each: Callable[[], None],
    ) -> None:
        self._source = source
        self._target = target
        self.report = ReplicationReport()
        self._judge = judge
        self._proves = proves
        self._read_back = read_back
        self._before_each = before_each
        self._unreadable_in_a_row = 0
        self._lock = threading.Lock()

    def bring(self, name: str, *, differs: bool = False) -> str | None:
        """Make the target hold a good copy; return what keeps it from that, None where nothing does.

        `differs` says that the target holds something else under this name.
        """
        self._before_each()
        stored, what = self._from_source(name)
        if stored is None:
            if differs and self.is_good_at_target(name):
                return None
            return what
        if differs and not self._proves and self.is_good_at_target(name):
            return "source and target hold it in different sizes, and without the key nobody can tell which of them is right"
        return self._put(name, stored, replace=differs)

    def is_good_at_target(self, name: str) -> bool:
        """Look into what the target holds."""
        try:
            self._judge(name, read_bounded(self._target, name, _bytes_max(name)))
        except (ObjectNotFoundError, ValueError):
            return False
        return True

    def _from_source(self, name: str) -> tuple[bytes | None, str]:
        """Read an object, twice before it is called damaged."""
        what = ""
        for _ in range(2):
            try:
                stored = read_bounded(self._source, name, _bytes_max(name))
                self._judge(name, stored)
            except ObjectNotFoundError:
                return None, GONE
            except ValueError as error:
                what = f"it is damaged at the source: {error}"
                continue
            except StorageUnreachableError as error:
                self._unreadable_in_a_row += 1
                if self._unreadable_in_a_row > _UNREADABLE_IN_A_ROW_MAX:
                    raise
                return None, f"the source can't read it: {error.reason}"
            self._unreadable_in_a_row = 0
            return stored, ""
        return None, what

    def _put(self, name: str, stored: bytes, *, replace: bool) -> str | None:
        for _ in range(2):
            try:
                self._target.put(name, stored, replace=replace, bulk=names.chunk_id(name) is not None)
            except ObjectExistsError:  # another replication put it just now, or what is there was not listed
                if self._gives_back(name, stored) or self.is_good_at_target(name):
                    return None
                replace = True
                continue
            except ObjectLockedError as error:
                return None if self.is_good_at_target(name) else f"it is damaged at the target, and can't be replaced: {error}"
            if not self._read_back or self._gives_back(name, stored):
                self._count(len(stored))
                return None
            replace = True
        with suppress(ObjectLockedError):
            self._target.delete(name)  # what nobody can read must not look like a copy
        return "the target does not give back what was put there"

    def _gives_back(self, name: str, stored: bytes) -> bool:
        try:
            return read_bounded(self._target, name, len(stored)) == stored
        except (ObjectNotFoundError, ValueError):
            return False

    def _count(self, size_bytes: int) -> None:
        with self._lock:
            self.report.copied_objects += 1
            self.report.copied_bytes += size_bytes


def _kind(name: str) -> Kind:
    if names.chunk_id(name) is not None:
        return Kind.CHUNK
    if names.manifest_parts(name) is not None:
        return Kind.MANIFEST
    if names.audit_parts(name) is not None:
        return Kind.AUDIT
    return Kind.PIN if names.pin_backup(name) is not None else Kind.PROOF


def _bytes_max(name: str) -> int:
    return sealing.bytes_max(_kind(name))
