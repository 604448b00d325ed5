"""Giving a backup up by hand: what would be lost with it, and whether anything would be left to come back to.

Judged as a clean-up judges, and in a clean-up's stead, so that of a clean-up and a person each sees what the other takes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from holdfast.cleanup import PURPOSE
from holdfast.errors import NotFoundError, RefusedError
from holdfast.history import History
from holdfast.repository import Repository
from holdfast.retention import Judged, KnownBackup, Rules, Verdict, judge
from holdfast.turn import require_first

_BARE = Rules({"database": 0, "function": 0, "config": 0, "secrets": 0}, keep_last=1)
"""The rules that no setting can switch off, and no others."""

_LAST_HOPE = {"proven": "it is the newest proven one", "good": "it is the newest good one, and none is proven"}


@dataclass(frozen=True, slots=True)
class Loss:
    """What goes with a backup. `backup` None: only its receipts are left; `dear` says why it should not go, None where it may."""

    backup_id: str
    backup: KnownBackup | None
    dear: str | None = None

    def __str__(self) -> str:
        one = self.backup
        if one is None:
            return "only receipts of it are left, by which it could be brought back from a replica"
        if one.damaged is not None:
            return f"a {one.type} backup, damaged: {one.damaged}"
        return f"the {one.type} backup of {one.at:%Y-%m-%d %H:%M} UTC, {_state(one)}"


def loss_of(repository: Repository, backup_id: str) -> Loss:
    """Tell what would be lost with a backup. Raises NotFoundError."""
    known = History(repository).backups()
    judged, _ = judge((_unpinned(one) for one in known), _BARE, repository.now, lambda *_: None)
    verdict = next((one for one in judged if one.backup.id == backup_id), None)
    if verdict is not None:
        pinned = next(one.pinned for one in known if one.id == backup_id)
        return Loss(backup_id, replace(verdict.backup, pinned=pinned), _dear(verdict, judged))
    if not repository.proofs(backup_id):
        raise NotFoundError(f"there is no backup {backup_id!r}", next_step="'holdfast list' shows the backups")
    return Loss(backup_id, None, "its manifest may still be in a replica, and 'holdfast repo check --repair' would bring it back")


def give_up(repository: Repository, backup_id: str, *, meant: bool, forced: bool) -> Loss:
    """Forget a backup; its data goes with the next prune.

    Raises RefusedError where it is pinned, where it was not `meant`, which says what would be lost, or where it is dear and
    that was not `forced`; ObjectLockedError, NotFoundError, BusyError (a clean-up is at work).
    """
    with repository.lease(PURPOSE) as lease:
        require_first(repository, lease)
        loss = loss_of(repository, backup_id)
        _refuse(loss, meant=meant, forced=forced)
        repository.forget(backup_id)
    return loss


def _refuse(loss: Loss, *, meant: bool, forced: bool) -> None:
    if loss.backup is not None and loss.backup.pinned is not None:
        step = f"First 'holdfast unpin {loss.backup_id}'"
        raise RefusedError(f"backup {loss.backup_id} was not forgotten", reason=f"it is {loss.backup.pinned}", next_step=step)
    if meant and (forced or loss.dear is None):
        return
    options = "--yes --force" if loss.dear else "--yes"
    raise RefusedError(
        f"backup {loss.backup_id} was not forgotten",
        reason=f"that can't be undone, and would lose {loss}" + (f"; {loss.dear}" if loss.dear else ""),
        next_step=f"If that is meant: holdfast repo forget {loss.backup_id} {options}",
    )


def _dear(verdict: Verdict, judged: Judged) -> str | None:
    """Say why a backup should stay: nothing that is as good would be left of its source."""
    one = verdict.backup
    for reason in verdict.keeps:
        if reason.kind in _LAST_HOPE:
            return _LAST_HOPE[reason.kind]
        if reason.kind == "unreplaced":
            return "no good one of its source is newer"
    others = [other.backup for other in judged if other.backup.id != one.id and other.backup.type == one.type]
    if one.good and not any(other.good and other.source == one.source for other in others):
        return "it is the only good one of its source"
    return None


def _unpinned(one: KnownBackup) -> KnownBackup:
    """A pin is told by itself."""
    return replace(one, pinned=None)


def _state(one: KnownBackup) -> str:
    return one.level or "bad, or never verified"
