"""Forgetting a backup, and pinning it against that. Both put before they look, so of two at once at least one sees the other."""

from __future__ import annotations

from holdfast.errors import BusyError, NotFoundError, RefusedError
from holdfast.repository import immutability
from holdfast.repository.backups import Backups
from holdfast.repository.lease import Lease
from holdfast.repository.leases import Leases
from holdfast.repository.pins import Pin, Pins
from holdfast.repository.sealed import SealedObjects


def forget(sealed: SealedObjects, backups: Backups, pins: Pins, lease: Lease, backup_id: str) -> None:
    """Delete proofs and manifest. Raises NotFoundError, ObjectLockedError, RefusedError (it is pinned)."""
    immutability.refuse_to_forget_locked(sealed.storage, backups.type_of(backup_id), backup_id, lease.renewed_at)
    lease.intend({"action": "forget", "backup_id": backup_id})
    pin = pins.find(backup_id)  # after the intent, which whoever pins looks for after the pin is put
    found = pin is None and backups.forget(backup_id)
    lease.intend(None)
    if pin is not None:
        raise RefusedError(
            f"backup {backup_id} was not forgotten", reason=f"it is {pin}", next_step=f"First 'holdfast unpin {backup_id}'"
        )
    if not found:
        raise _not_found(backup_id)


def pin(backups: Backups, pins: Pins, leases: Leases, wanted: Pin) -> Pin:
    """Put a pin, and take it back where the backup is gone. Raises NotFoundError, BusyError (it is just being forgotten)."""
    backup_id = wanted.backup_id
    _require_backup(backups, backup_id)
    put = pins.put(wanted)
    try:
        _require_not_being_forgotten(leases, backup_id)
        _require_backup(backups, backup_id)
    except (BusyError, NotFoundError):
        pins.take_back(backup_id)
        raise
    return put


def _require_backup(backups: Backups, backup_id: str) -> None:
    if backups.type_of(backup_id) is None:
        raise _not_found(backup_id)


def _require_not_being_forgotten(leases: Leases, backup_id: str) -> None:
    if {"action": "forget", "backup_id": backup_id} in leases.intents():
        raise BusyError(
            f"backup {backup_id} was not pinned",
            reason="somebody is just forgetting it",
            next_step="'holdfast list' shows in a moment whether it is still there",
        )


def _not_found(backup_id: str) -> NotFoundError:
    return NotFoundError(f"there is no backup {backup_id!r}", next_step="'holdfast list' shows the backups")
