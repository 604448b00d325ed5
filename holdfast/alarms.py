"""What there is to be alarmed about, judged from one look at everything and from how the last job ended. Nothing is sent.

Each condition has a key that never changes. A judgement names what was judged: an alarm, or None where all is well. What could
not be judged now is not in it, so that nothing counts as mended because nobody could look. Near a limit nothing is judged either:
an alarm that comes and goes is soon not read any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from holdfast import figures
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
    from holdfast.overview import BackupFacts, Failures, Overview, TypeOverview

_KEY = (KeyMissingError, WrongKeyError, KeyFileDamagedError)
_ROOM_PERCENT = 2.0
"""How far below the limit a storage must be until it no longer counts as nearly full."""


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


def judge(overview: Overview, ended: Ended | None, *, threshold: int, full_percent: float = 90) -> Judgement:
    """Judge every condition that can be judged now.

    `threshold` is how many failures in a row of one type are an alarm, `full_percent` from where a storage is nearly full.
    """
    found: Judgement = {}
    for one in overview.types:
        found |= _type(one, overview, threshold)
    if overview.seen:
        found |= _storage(overview, full_percent) | _rto(overview) | {"key": None, "repository": None}
    if ended is not None:
        found |= _of_kind(ended)
        found |= dict(_endangering(ended, overview))
    return found


def to_see_to(judgement: Judgement) -> list[Alarm]:
    """Return the alarms of a judgement."""
    return [alarm for alarm in judgement.values() if alarm is not None]


def how_many(alarms: Sequence[Alarm]) -> str:
    """Tell how many there are: `2 things to see to`."""
    if not alarms:
        return "nothing to see to"
    return f"{len(alarms)} thing{'s' if len(alarms) > 1 else ''} to see to"


def how_mended(key: str, overview: Overview) -> str | None:
    """Say what shows that this is no longer so; None where the key is of no type of backup."""
    one = next((one for one in overview.types if key.startswith(f"{one.type}-")), None)
    if one is None:
        return None
    if not one.on:
        return f"This type is off now: {one.off_because}"
    if key.endswith("-rpo") and one.proven is not None:
        return f"The newest proven backup is {_backup(one.proven)}"
    return f"The newest good backup is {_backup(one.newest)}" if one.newest is not None else None


def _type(one: TypeOverview, overview: Overview, threshold: int) -> Judgement:
    """Judge one type of backup; one that is off is nobody's worry. A type that is known to fail is not told as overdue, too."""
    found: Judgement = {}
    in_a_row = one.failures.in_a_row if one.on else 0
    fails = overview.recorded and in_a_row >= threshold
    if overview.recorded and (in_a_row == 0 or fails):
        found[f"{one.type}-failing"] = _failing(one, overview) if fails else None
    if overview.seen and not (fails and one.overdue):
        found[f"{one.type}-overdue"] = _overdue(one, overview) if one.overdue else None
    if overview.seen:
        found[f"{one.type}-rpo"] = _rpo(one, overview) if _misses_rpo(one, overview) else None
        found[f"{one.type}-bad"] = _bad(one, overview) if one.newest_is_bad and one.on else None
    return found


def _misses_rpo(one: TypeOverview, overview: Overview) -> bool:
    """Where none is proven yet, the oldest backup says for how long there could have been one."""
    if one.rpo is not None or one.rpo_target is None or not one.rpo_missed:
        return one.rpo_missed
    return bool(one.history) and overview.at - one.history[0].snapshot_at > one.rpo_target


def _failing(one: TypeOverview, overview: Overview) -> Alarm:
    failures = one.failures
    return Alarm(
        f"{one.type}-failing",
        f"The {one.type} backup fails",
        _attempts(failures),
        f"Mend what the error says, then run: holdfast backup {one.type}",
        since=failures.last_at if one.newest is None else one.newest.finished_at,
        last_good=_last_good(one, overview),
    )


def _attempts(failures: Failures) -> str:
    at = f" at {figures.minute_utc(failures.last_at)}" if failures.last_at is not None else ""
    last = f"{failures.last_job_id}{at} with: {failures.last_error}"
    if failures.in_a_row == 1:
        return f"The last attempt has failed: {last}"
    return f"The last {failures.in_a_row} attempts have all failed, the newest of them, {last}"


def _overdue(one: TypeOverview, overview: Overview) -> Alarm:
    failed = overview.recorded and one.failures.in_a_row > 0
    attempts = _attempts(one.failures) if failed else "No attempt is known to have failed since: it seems that none was begun"
    first = "Mend what the error says" if failed else "See that a worker runs ('holdfast serve') and that the schedule is on"
    return Alarm(
        f"{one.type}-overdue",
        f"The {one.type} backup is overdue",
        f"There should be one every {figures.span(one.interval)}, and none has been made for longer than that. {attempts}",
        f"{first}, then run: holdfast backup {one.type}",
        since=None if one.newest is None else one.newest.snapshot_at + one.interval,
        last_good=_last_good(one, overview),
    )


def _rpo(one: TypeOverview, overview: Overview) -> Alarm:
    newest = "none is proven" if one.proven is None else f"the newest, {one.proven.id}, is older"
    return Alarm(
        f"{one.type}-rpo",
        f"More of {one.type} could be lost than is allowed",
        f"The newest proven backup may be {figures.span(one.rpo_target)} old, and {newest}. Until there is one, "
        "all that changed since is at risk",
        f"Run: holdfast backup {one.type}; then: holdfast verify latest --type {one.type} --level proven",
        since=None if one.proven is None or one.rpo_target is None else one.proven.snapshot_at + one.rpo_target,
        last_good=_last_good(one, overview),
    )


def _bad(one: TypeOverview, overview: Overview) -> Alarm:
    return Alarm(
        f"{one.type}-bad",
        f"The newest {one.type} backup is bad",
        "Its verification found damage, or its manifest can't be read, so it counts for nothing",
        f"A fresh one is started where a worker runs; otherwise run: holdfast backup {one.type}. Then look at the storage: "
        "holdfast repo check --level read",
        last_good=_last_good(one, overview),
    )


def _storage(overview: Overview, full_percent: float) -> Judgement:
    """Judge how full the storage is, where its size is known."""
    storage = overview.storage
    if storage is None or storage.used_percent is None:
        return {}
    if not storage.nearly_full:
        return {"storage-nearly-full": None} if storage.used_percent <= full_percent - _ROOM_PERCENT else {}
    what = f"{storage.used_percent:.0f} % of the space of {storage.location} is used; when it is full, no backup can be made"
    step = (
        "Make room there, or keep fewer backups: holdfast cleanup --dry-run shows what would go. While a type's newest attempt "
        "has failed, a clean-up deletes nothing of it; by hand: holdfast repo forget JOB_ID"
    )
    return {"storage-nearly-full": Alarm("storage-nearly-full", "The storage of backups is nearly full", what, step)}


def _rto(overview: Overview) -> Judgement:
    """Judge how long coming back takes, where it was measured."""
    took, target = overview.rto_seconds, overview.rto_target_seconds
    if took is None and target is not None:
        return {}
    if took is None or target is None or not overview.rto_missed:
        return {"rto": None}
    alarm = Alarm(
        "rto",
        "Coming back would take longer than is allowed",
        f"By what restores have taken, bringing everything back takes {figures.span(timedelta(seconds=took))}; "
        f"allowed are {figures.span(timedelta(seconds=target))}",
        "Give the restore more readers or a quicker server, or raise BACKUP_RTO_TARGET_MINUTES",
    )
    return {"rto": alarm}


_MENDED_BY = {
    "check": "check",
    "drill": "drill",
    "cleanup": "cleanup",
    "replication": "replication",
    "backup": "storage-full",  # it has written into the storage
}
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
    known = {one.type: one for one in overview.types}
    last_good = _last_good(known[ended.type], overview) if ended.type in known else None
    next_step = error.next_step or "Look at the run's log in the Prefect UI"
    yield key, Alarm(key, title, error.what_and_why, next_step, last_good=last_good)


def _last_good(one: TypeOverview, overview: Overview) -> str:
    if one.newest is not None:
        return _backup(one.newest)
    return "there is none" if overview.seen else "not known: the repository could not be looked at"


def _backup(facts: BackupFacts) -> str:
    return f"{facts.id}, made {figures.minute_utc(facts.snapshot_at)}, {facts.level or 'not verified'}"
