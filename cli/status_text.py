"""What `holdfast status` tells a person, in a hundred columns: what is wrong, the backups, where they lie, what to do now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cli import figures, jobs, output

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

Report = dict[str, Any]
_SHOWN = 10


def lines(report: Report) -> Iterator[RenderableType]:
    """Tell a report."""
    for alarm in report["alarms"]:
        yield from _alarm_text(alarm)
    for one in report["types"]:
        yield from _type_text(one, seen=report["storage"] is not None)
    if report["backups"]:
        yield ""
        yield _backups_table(report)
    if report["replicas"]:
        yield ""
        yield _replicas_table(report["replicas"])
    yield ""
    yield output.facts(
        ("Home", str(report["home"])),
        ("Repository", _part(report["repository"], _repository_text)),
        ("Read from", report["repository"]["readFrom"] and f"the replica {report['repository']['readFrom']}"),
        ("Storage", _storage_text(report)),
        ("Coming back", _recovery_text(report)),
        ("Plans", _plans_text(report["plans"])),
        ("At work", _at_work_text(report)),
        ("Catalog", _part(report["catalog"], _catalog_text)),
        ("Prefect", _part(report["prefect"], _prefect_text)),
    )
    hints = list(dict.fromkeys(_hints(report)))
    if hints:
        yield ""
        yield output.facts(*[("Next", hint) for hint in hints])


def _alarm_text(alarm: Report) -> Iterator[RenderableType]:
    since = f", since {figures.minute(alarm['since'])} UTC" if alarm["since"] else ""
    yield jobs.headline("alarm", f"{output.masked(alarm['title'])}{since}", good=False)
    yield output.facts(("  What", output.masked(alarm["what"])), ("  Next", output.masked(alarm["nextStep"])))


def _type_text(one: Report, *, seen: bool) -> Iterator[RenderableType]:
    good, failure = one["lastGood"], one["lastFailure"]
    yield _type_headline(one, seen=seen)
    if good is not None:
        yield output.facts(
            ("  Backup", f"{good['jobId']}  {figures.moment(good['snapshotAt'])} UTC"),
            (
                "  Size",
                f"{figures.size(good['sizeBytes'])} read, {figures.size(good['storedBytes'])} added, in {jobs.took(good)}",
            ),
            ("  Lately", _lately(one["history"])),
            ("  Proven to", (good["verifiedLevel"] or "nothing yet") + _copies_text(one["copies"])),
            ("  RPO", _rpo_text(one["rpo"])),
            ("  RTO", _rto_text(one["rto"])),
            ("  Off", one["offBecause"]),
        )
    if failure is not None and (good is None or failure["startedAt"] > good["completedAt"]):
        yield output.facts(
            ("  Last failure", f"{failure['jobId']}  {figures.moment(failure['startedAt'])} UTC  {failure['error'] or ''}")
        )


def _type_headline(one: Report, *, seen: bool) -> Text:
    """Say when the last backup was made and when the next is due, and whether that is well."""
    good = one["lastGood"]
    if good is None and one["offBecause"]:
        return jobs.headline(one["type"], f"off: {one['offBecause']}", good=None)
    due = f", next {figures.until(one['nextRun'], now=datetime.now(UTC))}" if one["nextRun"] else ""
    failed = f"; {one['failuresInARow']} failed since" if one["failuresInARow"] else ""
    well = not (one["overdue"] or one["bad"] or one["rpo"]["missed"] or failed)
    if good is None:
        none = "no backup yet" if seen else "not known: the repository can't be looked at"
        return jobs.headline(one["type"], f"{none}{failed}{due}", good=False)
    made = figures.age(good["snapshotAt"])
    said = f"overdue: the last backup was made {made}" if one["overdue"] else f"last backup {made}"
    bad = "; the newest one is bad" if one["bad"] else ""
    return jobs.headline(one["type"], f"{said}{bad}{failed}{due}", good=well)


def _copies_text(number: int | None) -> str:
    return f", {number} {'copy' if number == 1 else 'copies'}" if number else ""


def _lately(history: list[Report]) -> str | None:
    """Draw sizes and durations of the newest backups, the newest last; one alone is no picture."""
    if len(history) < 2:
        return None
    sizes = figures.picture([one["sizeBytes"] for one in history])
    return f"{sizes} size  {figures.picture([one['seconds'] for one in history])} duration"


def _rpo_text(rpo: Report) -> str:
    age = "none is proven" if rpo["seconds"] is None else figures.span(timedelta(seconds=rpo["seconds"]))
    if rpo["targetSeconds"] is None:
        return age
    return f"{age}, allowed {figures.span(timedelta(seconds=rpo['targetSeconds']))}" + (": missed" if rpo["missed"] else "")


def _rto_text(rto: Report) -> str:
    measured = rto["measured"]
    if measured is None or rto["seconds"] is None:
        return "not measured yet"
    how = "a drill" if measured["drill"] else "a verification"
    on = f"{figures.size(measured['sizeBytes'])} in {figures.duration(measured['seconds'])}"
    return f"{figures.duration(rto['seconds'])}, from {how} of {figures.minute(measured['at'])} UTC: {on}"


def _storage_text(report: Report) -> str | None:
    found = report["storage"]
    if found is None:
        return None
    used = "" if found["usedPercent"] is None else f"{found['usedPercent']:g} % of {figures.size(found['capacityBytes'])} used; "
    added = f"{figures.size(found['readBytes'])} read, {figures.size(found['storedBytes'])} stored"
    return f"{used}dedup {figures.ratio(report['dedupRatio'])} ({added})"


def _recovery_text(report: Report) -> str | None:
    rto = report["rto"]
    if rto["seconds"] is None and rto["targetSeconds"] is None:
        return None
    said = "not measured yet" if rto["seconds"] is None else f"{figures.duration(rto['seconds'])} for all that was measured"
    if rto["targetSeconds"] is not None:
        said += f", allowed {figures.duration(rto['targetSeconds'])}" + (": missed" if rto["missed"] else "")
    return said + (f"; not measured: {', '.join(rto['notMeasured'])}" if rto["notMeasured"] and rto["seconds"] else "")


def _plans_text(plans: list[Report]) -> str | None:
    """Say of the recovery plans that are on how many there are, and which of them nobody has drilled for too long."""
    on = [one for one in plans if one["enabled"]]
    if not on:
        return "none is on" if plans else None
    untested = [one["planId"] for one in on if one["untested"]]
    never = [one["planId"] for one in on if one["lastTested"] is None and not one["untested"]]
    said = [f"{len(on)} on"]
    said += [f"untested for too long: {', '.join(untested)}"] if untested else []
    said += [f"not drilled yet: {', '.join(never)}"] if never else []
    return "; ".join(said)


def _backups_table(report: Report) -> RenderableType:
    shown = output.table("Backup", "Made (UTC)", "Copies", "Where", "3-2-1", right=("Copies",), whole=("Backup", "Made (UTC)"))
    for one in report["backups"][:_SHOWN]:
        where = "\n".join(_where(copy) for copy in one["copies"])
        shown.add_row(one["jobId"], figures.minute(one["snapshotAt"]), str(len(one["copies"])), where, _rule(one["threeTwoOne"]))
    return shown


def _where(copy: Report) -> str:
    """Name the place of a copy; of one that could not be looked at now, say since when that is believed."""
    if copy["live"]:
        return str(copy["storage"])
    as_of = jobs.when(copy["asOf"])
    return f"{copy['storage']} (as of {figures.minute(as_of)})"


def _rule(rule: Report) -> Text:
    if rule["holds"]:
        return jobs.status("completed", "holds")
    return jobs.status("gone", "lacks " + ", ".join(rule["missing"]))


def _replicas_table(found: list[Report]) -> RenderableType:
    shown = output.table("Replica", "Backups", "State", right=("Backups",))
    for one in found:
        shown.add_row(one["name"], "–" if one["backups"] is None else str(one["backups"]), _state(one))
    return shown


def _state(one: Report) -> Text:
    if not one["ok"]:
        return jobs.status("failed", "✗ " + ": ".join(filter(None, (one["error"], one["reason"]))))
    where = f"{one['kind']}, {'off-site' if one['offsite'] else 'not off-site'}"
    if one["behind"]:
        return jobs.status("gone", f"lacks {one['behind']} of the primary's backups ({where})")
    return jobs.status("completed", f"{'up to date' if one['behind'] == 0 else 'answers'} ({where})")


def _part(part: Report, text: Callable[[Report], str]) -> str:
    return text(part) if part["ok"] else " ".join(filter(None, (f"✗ {part['error']}.", part["reason"])))


def _repository_text(part: Report) -> str:
    return f"{part['location']}, " + (f"encrypted, opened by key {part['keyId']}" if part["encrypted"] else "NOT encrypted")


def _catalog_text(part: Report) -> str:
    where = "in the embedded PostgreSQL" if part["kind"] == "embedded" else "in the database of BACKUP_CATALOG_URL"
    return f"{where}, {'running' if part['running'] else 'not running; a backup starts it'}"


def _prefect_text(part: Report) -> str:
    if not part["running"]:
        return "not running; a backup starts it"
    idle = "; no worker is online, so that nothing runs by schedule" if part["workerOnline"] is False else ""
    return str(part["url"]).removesuffix("/api") + idle


def _what(job: Report) -> str:
    return str(job["kind"]) if job["type"] == job["kind"] else f"{job['type']} {job['kind']}"


def _at_work_text(report: Report) -> str | None:
    """Name the jobs that are pending or running, and the executions of plans that run or wait for a person."""
    said = [f"{_what(one)} {one['jobId']} ({one['status']})" for one in report["jobs"]]
    for one in report["executions"]:
        waits = f"waits for {one['waitingFor']}" if one["waitingFor"] else one["status"]
        said.append(f"plan {one['planId']} {one['executionId']} ({waits})")
    return "\n".join(said) or None


def _hints(report: Report) -> Iterator[str]:
    """Tell what to do now, most urgent first."""
    for part in (report["repository"], *report["replicas"], report["catalog"], report["prefect"]):
        if not part["ok"] and part["nextStep"]:
            yield part["nextStep"]
    for one in report["types"]:
        missing = one["on"] and (one["overdue"] or one["bad"] or one["lastGood"] is None)
        if missing and report["repository"]["ok"]:
            yield f"holdfast backup {one['type']}"
        elif one["lastGood"] and one["lastGood"]["verifiedLevel"] != "proven":
            yield f"holdfast verify latest --type {one['type']} --level proven"
    if any(one["behind"] for one in report["replicas"]):
        yield "holdfast repo replicate"
    elif report["backups"] and not report["backups"][0]["threeTwoOne"]["holds"] and not report["replicas"]:
        yield "name other places for copies in BACKUP_REPLICAS: docs/storage.md"
