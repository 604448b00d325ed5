"""A period as a report for people: sections of short lines, which a page, a message and a terminal show alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from holdfast import figures
from holdfast.alarms import how_many, to_see_to
from holdfast.markup import plain
from holdfast.period import AttemptCounts

if TYPE_CHECKING:
    from holdfast.overview import TypeOverview
    from holdfast.period import Period, Proving, TypePeriod

Section = tuple[str, list[str]]
_MOST_LINES = 20


def title(period: Period) -> str:
    """Name the report: whose it is, of which days, and whether there is something to see to."""
    whose = "Backups" if period.overview.target is None else f"Backups of {period.overview.target}"
    alarms = to_see_to(period.judgement)
    state = how_many(alarms) if alarms or period.overview.seen else "the repository could not be looked at"
    return f"{whose} from {period.since:%Y-%m-%d} to {period.overview.at:%Y-%m-%d}: {state}"


def sections(period: Period) -> list[Section]:
    """Write the report. What could not be asked is said to be not known."""
    return [
        ("To see to", list(_alarms(period))),
        ("Backups", list(_backups(period))),
        ("What failed", figures.first(list(_failures(period)), _MOST_LINES)),
        ("Proofs", list(_proofs(period))),
        ("Restore drill", list(_drill(period))),
        ("Recovery plans", list(_plans(period))),
        ("Deleted", list(_deleted(period))),
        ("Growth", list(_growth(period))),
        ("RPO and RTO", list(_objectives(period))),
        ("Next runs", list(_next_runs(period))),
    ]


def markdown(period: Period) -> str:
    """Write it as a page."""
    lines = [f"# {title(period)}"]
    for heading, said in sections(period):
        lines += ["", f"## {heading}", "", *(f"- {plain(line)}" for line in said)]
    return "\n".join(lines)


def text(period: Period) -> str:
    """Write it without markup, for a message or a terminal."""
    parts = [f"{heading}\n" + "\n".join(f"- {line}" for line in said) for heading, said in sections(period)]
    return "\n\n".join(parts)


def _alarms(period: Period) -> Iterator[str]:
    found = to_see_to(period.judgement)
    for alarm in found:
        yield f"{alarm.title}: {alarm.what}. {alarm.next_step}"
    if not period.overview.seen:
        yield "The repository could not be looked at, so most of this is not known"
    if not found and period.overview.seen:
        yield "Nothing"


def _backups(period: Period) -> Iterator[str]:
    for one in period.overview.types:
        if not one.on and one.newest is None:
            yield f"{one.type}: off"
            continue
        yield f"{one.type}: {_tried(one.type, period)}; {_newest(one, period)}"
    if period.logged is None:
        yield "how many attempts failed is not known: the catalog does not answer"
    restores = period.logged.restores if period.logged is not None else None
    if restores is not None and (restores.completed or restores.failed):
        yield f"restores: {restores.completed} completed, {restores.failed} failed"


def _newest(one: TypeOverview, period: Period) -> str:
    if one.newest is None:
        return "no good backup" if period.overview.seen else "which good ones there are is not known"
    made = figures.age(one.newest.snapshot_at, now=period.overview.at)
    return f"the newest good one is {one.newest.id}, made {made}, proven to {one.newest.level or 'nothing yet'}"


def _tried(kind: str, period: Period) -> str:
    """Count by the catalog, or where that does not answer by the backups that are there."""
    if period.logged is not None:
        found = period.logged.backups.get(kind, AttemptCounts())
        cancelled = f", {found.cancelled} cancelled" if found.cancelled else ""
        return f"{found.completed} completed, {found.failed} failed{cancelled}"
    made = period.of(kind)
    return "not known" if made is None else f"{made.made} made"


def _failures(period: Period) -> Iterator[str]:
    if period.logged is None:
        yield "Not known: the catalog does not answer"
        return
    for one in period.logged.failures:
        yield f"{figures.minute_utc(one.at)}, {one.what} of {one.type} ({one.job_id}): {one.error}"
    if not period.logged.failures:
        yield "Nothing"


def _proofs(period: Period) -> Iterator[str]:
    if period.kept is None:
        yield "Not known: the repository could not be looked at"
        return
    for kind in [one.type for one in period.overview.types]:
        found = [one for one in period.kept.proofs if one.type == kind]
        passed = [one for one in found if one.ok]
        if found:
            levels = ", ".join(f"{sum(one.level == level for one in passed)} {level}" for level in _levels(passed))
            yield f"{kind}: {len(passed)} passed ({levels or 'none'}), {len(found) - len(passed)} did not"
    for one in period.kept.proofs:
        if not one.ok:
            yield f"{figures.minute_utc(one.at)}, {one.backup_id} did not pass: {'; '.join(one.problems[:3])}"
    if not period.kept.proofs:
        yield "No backup was verified in these days"


def _levels(proofs: Sequence[Proving]) -> list[str]:
    return sorted({one.level for one in proofs})


def _drill(period: Period) -> Iterator[str]:
    drills = [one for one in period.kept.proofs if one.drill] if period.kept is not None else []
    for one in drills:
        took = f"came back in {figures.duration(one.seconds)}" if one.ok else f"did not come back: {'; '.join(one.problems[:3])}"
        yield f"{figures.minute_utc(one.at)}, {one.type} ({one.backup_id}) {took}"
    if not drills:
        last = max((one.restore.at for one in period.overview.types if one.restore and one.restore.drill), default=None)
        yield f"None in these days; the last one was at {figures.minute_utc(last)}" if last else "None yet, as far as is known"


def _plans(period: Period) -> Iterator[str]:
    overview = period.overview
    for one in overview.plans:
        if not one.enabled:
            yield f"{one.name}: off"
            continue
        drilled = "never drilled" if one.last_tested is None else f"drilled {figures.age(one.last_tested, now=overview.at)}"
        yield f"{one.name}: {drilled}" + (", which is too long ago" if one.is_untested(overview.at) else "")
    if not overview.plans:
        yield "There is none" if overview.recorded else "Not known: the catalog does not answer"


def _deleted(period: Period) -> Iterator[str]:
    if period.kept is None:
        yield "Not known: the repository could not be looked at"
        return
    told = [one for one in period.kept.deletions if one.backup_ids or one.freed_bytes or one.problems]
    for one in told:
        gone = figures.count(len(one.backup_ids), "backup")
        freed = "" if one.freed_bytes is None else f"{gone}, {figures.size(one.freed_bytes)} freed"
        problems = f"; {'; '.join(one.problems[:3])}" if one.problems else ""
        yield f"{figures.minute_utc(one.at)}: {freed}{problems}"
    if not told:
        ran = len(period.kept.deletions)
        yield f"Nothing, by {figures.count(ran, 'clean-up')}" if ran else "Nothing: no clean-up ran"


def _growth(period: Period) -> Iterator[str]:
    for one in period.overview.types:
        before = period.of(one.type)
        if one.newest is None or before is None or not before.made:
            continue
        was = "" if before.size_before is None else f", {figures.size(before.size_before)} when these days began"
        added = f"{figures.size(before.added_bytes)} added by {figures.count(before.made, 'backup')}"
        yield f"{one.type}: {added}; a backup reads {figures.size(one.newest.size_bytes)}{was}"
    storage = period.overview.storage
    if storage is None:
        yield "Of the storage nothing is known now"
        return
    used = (
        "" if storage.used_percent is None else f"; {storage.used_percent:g} % of {figures.size(storage.capacity_bytes)} is used"
    )
    yield f"all backups: {figures.size(storage.stored_bytes)} stored, dedup ratio {figures.ratio(storage.dedup_ratio)}{used}"


def _objectives(period: Period) -> Iterator[str]:
    for one in period.overview.types:
        if one.on and period.overview.seen:
            yield f"{one.type}: RPO {_rpo(one, period.of(one.type))}; RTO {_rto(one, period.of(one.type))}"
    target = period.overview.rto_target_seconds
    whole = "not measured yet" if period.overview.rto_seconds is None else figures.duration(period.overview.rto_seconds)
    yield f"all types one after the other: RTO {whole}" + (f", allowed {figures.duration(target)}" if target else "")


def _rpo(one: TypeOverview, before: TypePeriod | None) -> str:
    now = "none is proven" if one.rpo is None else figures.span(one.rpo)
    allowed = f", allowed {figures.span(one.rpo_target)}" if one.rpo_target is not None else ""
    return (
        now
        + allowed
        + (f"; {figures.span(before.rpo_before)} when these days began" if before and before.rpo_before is not None else "")
    )


def _rto(one: TypeOverview, before: TypePeriod | None) -> str:
    if one.rto_seconds is None or one.restore is None:
        return "not measured yet"
    was = before.rto_seconds_before if before is not None else None
    how = f"measured on {figures.size(one.restore.size_bytes)} at {figures.minute_utc(one.restore.at)}"
    return f"{figures.duration(one.rto_seconds)} ({how})" + (
        f", {figures.duration(was)} when these days began" if was is not None else ""
    )


def _next_runs(period: Period) -> Iterator[str]:
    for name, at in period.next_runs.items():
        yield f"{figures.minute_utc(at)}: {name}"
    if not period.next_runs:
        yield "Not known: no Prefect server answers, or no schedule is on"
