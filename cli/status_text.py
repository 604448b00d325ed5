"""What `holdfast status` tells a person, in a hundred columns: the backups, where they lie, the parts, and what to do now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from cli import figures, jobs, output

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

Report = dict[str, Any]
_SHOWN = 10


def lines(report: Report) -> Iterator[RenderableType]:
    """Tell a report."""
    for one in report["types"]:
        yield from _type_text(one)
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
        ("Catalog", _part(report["catalog"], _catalog_text)),
        ("Prefect", _part(report["prefect"], _prefect_text)),
    )
    hints = list(dict.fromkeys(_hints(report)))
    if hints:
        yield ""
        yield output.facts(*[("Next", hint) for hint in hints])


def _type_text(one: Report) -> Iterator[RenderableType]:
    good, failure = one["lastGood"], one["lastFailure"]
    if good is None:
        yield jobs.headline(
            one["type"],
            f"off: {one['offBecause']}" if one["offBecause"] else "no backup yet",
            good=None if one["offBecause"] else False,
        )
    else:
        made = figures.age(good["snapshotAt"])
        yield jobs.headline(
            one["type"],
            f"{'last backup' if not one['overdue'] else 'overdue: the last backup was made'} {made}",
            good=not one["overdue"],
        )
        yield output.facts(
            ("  Backup", f"{good['jobId']}  {figures.moment(good['snapshotAt'])} UTC"),
            ("  Size", f"{figures.size(good['sizeBytes'])} read, {figures.size(good['storedBytes'])} added"),
            ("  Proven to", good["verifiedLevel"] or "nothing yet"),
            ("  Off", one["offBecause"]),
        )
    if failure is not None and (good is None or failure["startedAt"] > good["completedAt"]):
        yield output.facts(
            ("  Last failure", f"{failure['jobId']}  {figures.moment(failure['startedAt'])} UTC  {failure['error'] or ''}")
        )


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
    return str(part["url"]).removesuffix("/api") if part["running"] else "not running; a backup starts it"


def _hints(report: Report) -> Iterator[str]:
    """Tell what to do now, most urgent first."""
    for part in (report["repository"], *report["replicas"], report["catalog"], report["prefect"]):
        if not part["ok"] and part["nextStep"]:
            yield part["nextStep"]
    for one in report["types"]:
        if one["overdue"] and report["repository"]["ok"]:
            yield f"holdfast backup {one['type']}"
        elif one["lastGood"] and one["lastGood"]["verifiedLevel"] != "proven":
            yield f"holdfast verify latest --type {one['type']} --level proven"
    if any(one["behind"] for one in report["replicas"]):
        yield "holdfast repo replicate"
    elif report["backups"] and not report["backups"][0]["threeTwoOne"]["holds"] and not report["replicas"]:
        yield "name other places for copies in BACKUP_REPLICAS: docs/storage.md"
