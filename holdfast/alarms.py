"""What there is to be alarmed about, judged from one look at everything and from how the last job ended. Nothing is sent.

Each condition has a key that never changes. A judgement names what was judged: an alarm, or None where all is well. What could
not be judged now is not in it, so that nothing counts as mended because nobody could look.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from holdfast.errors import (
    CheckFailedError,
    CleanupFailedError,
    DamagedError,
    DrillFailedError,
    HoldfastError,
    KeyFileDamagedError,
    KeyMissingError,
    ReplicationFailedError,
    StorageDeniedError,
    StorageFullError,
    VerificationFailedError,
    WrongKeyError,
)

if TYPE_CHECKING:
    from holdfast.overview import Overview, TypeOverview

_KEY = (KeyMissingError, WrongKeyError, KeyFileDamagedError)


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that somebody has to see to. `since` is when it began, as far as that is known."""

    key: str
    title: str
    what: str
    next_step: str
    since: datetime | None = None
    last_good: str | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """How the job ended that was run last: its kind (`backup`, `verification`, …), its type, and its error where it failed."""

    kind: str
    type: str
    error: BaseException | None = None


Judgement = dict[str, Alarm | None]


def judge(overview: Overview, ended: Ended | None, *, threshold: int) -> Judgement:
    """Judge every condition that can be judged now. `threshold` is how many failures in a row of one type are an alarm."""
    found: Judgement = {}
    for one in overview.types:
        found |= _type(one, overview, threshold)
    if overview.seen:
        found |= _storage(overview)
        found |= {"key": None, "repository": None, "rto": _rto(overview) if overview.rto_missed else None}
    if ended is not None:
        found |= _of_kind(ended)
        found |= dict(_endangering(ended, overview))
    return found


def _type(one: TypeOverview, overview: Overview, threshold: int) -> Judgement:
    """Judge one type of backup; one that is off is nobody's worry."""
    found: Judgement = {}
    in_a_row = one.failures.in_a_row if one.on else 0
    if overview.recorded and (in_a_row == 0 or in_a_row >= threshold):
        found[f"{one.type}-failing"] = _failing(one) if in_a_row else None
    if overview.seen:
        found[f"{one.type}-overdue"] = _overdue(one) if one.overdue else None
        found[f"{one.type}-rpo"] = _rpo(one) if one.rpo_missed else None
        found[f"{one.type}-bad"] = _bad(one) if one.newest_is_bad and one.on else None
    return found


def _failing(one: TypeOverview) -> Alarm:
    failures = one.failures
    return Alarm(
        f"{one.type}-failing",
        f"The {one.type} backup fails",
        f"{failures.in_a_row} attempts in a row have failed, the last one ({failures.last_job_id}) with: {failures.last_error}",
        f"Mend what the error says, then run: holdfast backup {one.type}",
        since=failures.last_at if one.newest is None else one.newest.finished_at,
        last_good=_last_good(one),
    )


def _overdue(one: TypeOverview) -> Alarm:
    return Alarm(
        f"{one.type}-overdue",
        f"The {one.type} backup is overdue",
        f"There should be one every {_told(one.interval)}, and none has been made for longer than that",
        f"See that a worker runs ('holdfast serve') and its schedule is on, then run: holdfast backup {one.type}",
        since=None if one.newest is None else one.newest.snapshot_at + one.interval,
        last_good=_last_good(one),
    )


def _rpo(one: TypeOverview) -> Alarm:
    age = "there is none" if one.rpo is None else f"the newest is {_told(one.rpo)} old"
    return Alarm(
        f"{one.type}-rpo",
        f"More of {one.type} could be lost than is allowed",
        f"A proven backup may be {_told(one.rpo_target or timedelta())} old, and {age}",
        f"Run: holdfast backup {one.type}; then: holdfast verify latest --type {one.type} --level proven",
        since=None if one.proven is None or one.rpo_target is None else one.proven.snapshot_at + one.rpo_target,
        last_good=_last_good(one),
    )


def _bad(one: TypeOverview) -> Alarm:
    return Alarm(
        f"{one.type}-bad",
        f"The newest {one.type} backup is bad",
        "Its verification found damage, or its manifest can't be read, so it counts for nothing",
        f"A fresh one is started where a worker runs; otherwise run: holdfast backup {one.type}. Then look at the storage: "
        "holdfast repo check --level read",
        last_good=_last_good(one),
    )


def _storage(overview: Overview) -> Judgement:
    storage = overview.storage
    if storage is None or not storage.nearly_full:
        return {"storage-full": None}
    what = f"{storage.used_percent:g} % of the space of {storage.location} is used"
    step = "Make room, or keep fewer backups: holdfast cleanup --dry-run shows what would go"
    return {"storage-full": Alarm("storage-full", "The storage of backups is nearly full", what, step)}


def _rto(overview: Overview) -> Alarm:
    took, target = overview.rto_seconds or 0.0, overview.rto_target_seconds or 0.0
    return Alarm(
        "rto",
        "Coming back would take longer than is allowed",
        f"By what restores have taken, bringing everything back takes {_told(timedelta(seconds=took))}; "
        f"allowed are {_told(timedelta(seconds=target))}",
        "Give the restore more readers or a quicker server, or raise BACKUP_RTO_TARGET_MINUTES",
    )


_MENDED_BY = {"check": "check", "drill": "drill", "cleanup": "cleanup", "replication": "replication"}
"""What only another run of the same kind can find mended."""


def _of_kind(ended: Ended) -> Judgement:
    key = f"{ended.type}-verification" if ended.kind == "verification" else _MENDED_BY.get(ended.kind)
    return {key: None} if key is not None and ended.error is None else {}


def _endangering(ended: Ended, overview: Overview) -> Iterator[tuple[str, Alarm | None]]:
    """Tell what of a job's error endangers that anything can come back, so that nobody waits for a second one."""
    error = ended.error
    if not isinstance(error, HoldfastError):
        return
    match error:
        case VerificationFailedError():
            newest = overview.seen and overview.of(ended.type).newest_is_bad
            key = f"{ended.type}-{'bad' if newest else 'verification'}"
            title = f"A {ended.type} backup did not pass its verification"
        case CheckFailedError():
            key, title = "check", "Stored backups are damaged"
        case DrillFailedError():
            key, title = "drill", "The restore drill failed"
        case CleanupFailedError():
            key, title = "cleanup", "The clean-up could not do all that it planned"
        case ReplicationFailedError():
            key, title = "replication", "A replica is not up to date"
        case StorageFullError():
            key, title = "storage-full", "The storage of backups is full"
        case _ if isinstance(error, _KEY):
            key, title = "key", "The key of the backups is missing or wrong"
        case StorageDeniedError() | DamagedError() if not overview.seen:
            key, title = "repository", "The repository of the backups can't be opened"
        case _:
            return
    last_good = _last_good(overview.of(ended.type)) if ended.type in {one.type for one in overview.types} else None
    next_step = error.next_step or "Look at the run's log in the Prefect UI"
    yield key, Alarm(key, title, error.what_and_why, next_step, last_good=last_good)


def _last_good(one: TypeOverview) -> str | None:
    if one.newest is None:
        return None
    return f"{one.newest.id}, made {one.newest.snapshot_at:%Y-%m-%d %H:%M} UTC, {one.newest.level or 'not proven'}"


def _told(span: timedelta) -> str:
    """Tell a time span for people: `36 h`, `12 days`, `45 min`."""
    minutes = span.total_seconds() / 60
    if minutes < 90:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.0f} h" if minutes < 72 * 60 else f"{minutes / 1440:.0f} days"
