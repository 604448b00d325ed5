"""Which backups stay and which may go. Pure: a history, rules and a time go in, and for each backup comes out why.

Some rules no setting can switch off. Only good backups count towards what is kept. The newest proven one of each source stays,
and where none is proven the newest good one. While the newest attempt has failed, or nobody can tell, nothing goes. What is
pinned or locked stays. A time in the future is never old, and never makes anything else look old.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from holdfast import figures
from holdfast.repository import Level

if TYPE_CHECKING:
    from holdfast.settings import Settings

Kind = Literal[
    "young",
    "last",
    "daily",
    "weekly",
    "monthly",
    "yearly",
    "proven",
    "good",
    "pinned",
    "locked",
    "future",
    "unreplaced",
    "held back",
    "primary",
]
PILLARS: tuple[Kind, ...] = ("last", "proven", "good")
"""The reasons of the good backups because of which others may go."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How long backups are kept: days by type, and how many good ones of each source whatever their age."""

    days: Mapping[str, int]
    keep_last: int = 3
    keep_daily: int = 0
    keep_weekly: int = 0
    keep_monthly: int = 0
    keep_yearly: int = 0

    @classmethod
    def of(cls, settings: Settings) -> Rules:
        """Take them from the settings."""
        days = {
            "database": settings.database_backup_retention,
            "function": settings.function_backup_retention,
            "config": settings.config_backup_retention,
            "secrets": settings.secrets_backup_retention,
        }
        counts = {name: getattr(settings, name) for name in _COUNTS}
        return cls(days, **counts)

    def to_json(self) -> dict[str, object]:
        """Describe them for the record of a clean-up."""
        return {"days": dict(self.days), **{name: getattr(self, name) for name in _COUNTS}}


_COUNTS = ("keep_last", "keep_daily", "keep_weekly", "keep_monthly", "keep_yearly")


@dataclass(frozen=True, slots=True)
class KnownBackup:
    """What is known of one backup. `at` is the time of its content; of a damaged one, of unknown source, that of its storing.
    Of a source whose clock is behind, `at` is too early, and `came_at` says when the backup came in truth.

    `level` is None for a backup that is bad, or that has no proof at all.
    """

    id: str
    type: str
    source: str | None
    at: datetime
    level: Level | None
    damaged: str | None = None
    pinned: str | None = None
    locked_until: datetime | None = None
    in_primary: bool = False  # of a copy in a replica: replication would bring it back
    checksum: str | None = None
    stored_bytes: int | None = None
    came_at: datetime | None = None  # where other clocks contradict that of its content: when it came by the latest of them

    @property
    def good(self) -> bool:
        return self.damaged is None and self.level is not None

    @property
    def latest(self) -> datetime:
        """The latest time that any clock says of it."""
        return self.at if self.came_at is None else max(self.at, self.came_at)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a backup stays; `text` is for people."""

    kind: Kind
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to become of one backup: it stays for these reasons, or, where there are none, it goes, and `why` says so."""

    backup: KnownBackup
    keeps: tuple[Reason, ...] = ()
    why: str = ""

    @property
    def goes(self) -> bool:
        return not self.keeps

    @property
    def is_pillar(self) -> bool:
        """Whether others may go because this one stays."""
        return any(reason.kind in PILLARS for reason in self.keeps)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Of a type, or of one source of it, nothing goes, and why."""

    type: str
    why: str
    source: str | None = None

    def covers(self, backup: KnownBackup) -> bool:
        return backup.type == self.type and self.source in (None, backup.source)


Judged = list[Verdict]
Attempt = Callable[[str, str | None], str | None]
"""Tells of a type, or of one source of it, why its newest attempt failed, or why nobody can tell; None where all is well."""


def judge(backups: Iterable[KnownBackup], rules: Rules, now: datetime, attempt: Attempt) -> tuple[Judged, list[Refusal]]:
    """Decide about each backup, newest first, at this time of the storage's; tell also where nothing may go."""
    history = sorted(backups, key=_order, reverse=True)
    refusals: list[Refusal] = []
    judged: Judged = []
    for kind in sorted({one.type for one in history}):
        of_type = [one for one in history if one.type == kind]
        found = list(_refusals(kind, of_type, now, attempt))
        refusals += found
        judged += [held_back(verdict, found) for verdict in _judge_type(of_type, rules, now)]
    return sorted(judged, key=lambda verdict: _order(verdict.backup), reverse=True), refusals


def _order(backup: KnownBackup) -> tuple[datetime, str]:
    return backup.at, backup.id


def _refusals(kind: str, history: Sequence[KnownBackup], now: datetime, attempt: Attempt) -> Iterator[Refusal]:
    """Find out whether the newest attempt of the type, or of one of its sources, failed; a newest one that is bad counts so."""
    why = attempt(kind, None) or _newest_is_bad(history, now)
    if why is not None:
        yield Refusal(kind, why)
        return
    for source in sorted({one.source for one in history if one.source is not None}):
        why = attempt(kind, source) or _newest_is_bad([one for one in history if one.source == source], now)
        if why is not None:
            yield Refusal(kind, why, source)


def _newest_is_bad(history: Sequence[KnownBackup], now: datetime) -> str | None:
    """Look at the newest of all, and at the newest whose time is not in the future, for that one is the newest in truth."""
    past = [one for one in history if one.at <= now]
    for newest in (*history[:1], *past[:1]):
        if newest.damaged is not None:
            return f"the newest backup, {newest.id}, is damaged: {newest.damaged}"
        if not newest.good:
            return f"the newest backup, {newest.id}, is bad: its last verification failed, or it was never whole"
    return None


def held_back(verdict: Verdict, refusals: Sequence[Refusal]) -> Verdict:
    """Have a backup stay that would go, where a refusal covers it."""
    if not verdict.goes or not refusals:
        return verdict
    held = tuple(Reason("held back", refusal.why) for refusal in refusals if refusal.covers(verdict.backup))
    return replace(verdict, keeps=held, why="" if held else verdict.why)


def _judge_type(history: Sequence[KnownBackup], rules: Rules, now: datetime) -> Iterator[Verdict]:
    sources = sorted({one.source for one in history if one.damaged is None and one.source is not None})
    groups = {source: _Group([one for one in history if one.source == source], rules, now) for source in sources}
    for one in history:
        days = rules.days[one.type]
        keeps = list(_own_reasons(one, days, now))
        if one.source is not None and one.source in groups and one.damaged is None:
            keeps += groups[one.source].reasons(one)
        newer = [group.newer_good(one) for group in _those_it_may_belong_to(one, groups)]
        if not one.good and not (newer and all(newer)):
            keeps.append(Reason("unreplaced", "no good one is newer"))
        yield Verdict(one, tuple(keeps), "" if keeps else _why(one, days))


def _own_reasons(one: KnownBackup, days: int, now: datetime) -> Iterator[Reason]:
    """Tell the reasons that have nothing to do with other backups."""
    if one.pinned is not None:
        yield Reason("pinned", one.pinned)
    if one.in_primary:
        yield Reason("primary", "the primary still holds it")
    if one.locked_until is not None and one.locked_until > now:
        yield Reason("locked", f"locked until {figures.minute_utc(one.locked_until)}")
    if one.at > now:
        yield Reason("future", f"its time, {figures.minute_utc(one.at)}, is in the future")
    elif one.at > now - timedelta(days=days):
        yield Reason("young", f"within {days} days")
    elif one.latest > now - timedelta(days=days):
        yield Reason("young", f"within {days} days by another clock than its own, which says {one.at:%Y-%m-%d %H:%M} UTC")


def _those_it_may_belong_to(one: KnownBackup, groups: Mapping[str, _Group]) -> list[_Group]:
    """A damaged backup may be of any source."""
    if one.source is None or one.damaged is not None:
        return list(groups.values())
    return [groups[one.source]]


def _why(one: KnownBackup, days: int) -> str:
    if one.damaged is not None:
        return f"older than {days} days and damaged, and newer ones are good"
    return f"older than {days} days" + ("" if one.good else " and bad, and a newer one is good")


class _Group:
    """The backups of one source; of them only the good ones count whose time is not in the future."""

    def __init__(self, history: Sequence[KnownBackup], rules: Rules, now: datetime) -> None:
        self._good = [one for one in history if one.good and one.at <= now]
        self._reasons: dict[str, list[Reason]] = {}
        self._keep_newest_proven()
        for place, one in enumerate(self._good[: rules.keep_last], 1):
            last = "the newest good one" if rules.keep_last == 1 else f"{place} of the last {rules.keep_last} good ones"
            self._keep(one, Reason("last", last))
        if any(one.came_at is not None for one in self._good):
            self._keep_last_to_come(rules.keep_last)
        self._keep_last_of_each("daily", rules.keep_daily, lambda at: f"the last good one of {at:%Y-%m-%d}")
        self._keep_last_of_each("weekly", rules.keep_weekly, lambda at: f"the last good one of week {at:%G-W%V}")
        self._keep_last_of_each("monthly", rules.keep_monthly, lambda at: f"the last good one of {at:%Y-%m}")
        self._keep_last_of_each("yearly", rules.keep_yearly, lambda at: f"the last good one of {at:%Y}")

    def reasons(self, one: KnownBackup) -> list[Reason]:
        return self._reasons.get(one.id, [])

    def newer_good(self, one: KnownBackup) -> bool:
        """Tell whether there is a good one that is newer."""
        return bool(self._good) and self._good[0].at > one.at

    def _keep(self, one: KnownBackup, reason: Reason) -> None:
        self._reasons.setdefault(one.id, []).append(reason)

    def _keep_newest_proven(self) -> None:
        proven = [one for one in self._good if one.level == "proven"]
        if proven:
            self._keep(proven[0], Reason("proven", "the newest proven one"))
        elif self._good:
            self._keep(self._good[0], Reason("good", "the newest good one, for none is proven"))

    def _keep_last_to_come(self, count: int) -> None:
        """Keep those that came last, too: by the clock of a source that is behind they look older than all others."""
        for one in sorted(self._good, key=lambda one: (one.latest, one.id), reverse=True)[:count]:
            if one.came_at is not None:
                self._keep(one, Reason("last", f"one of the last {count} good ones that came, by another clock than its own"))

    def _keep_last_of_each(self, kind: Kind, count: int, span: Callable[[datetime], str]) -> None:
        """Keep the newest good one of each of so many spans of time in which there are any, by UTC."""
        seen: set[str] = set()
        for one in self._good:
            if len(seen) >= count:
                return
            text = span(one.at.astimezone(UTC))
            if text not in seen:
                seen.add(text)
                self._keep(one, Reason(kind, text))
