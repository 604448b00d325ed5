"""`holdfast status`: how things stand, also while half of the system is down.

Nothing is started to answer. Each part is asked by itself, and one that does not answer is reported as just that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cli import figures, jobs, output
from cli.app import Commands
from cli.backup import why_off
from cli.backup_types import PRESENT, BackupType
from cli.listing import catalog_rows
from cli.session import repository, settings
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from holdfast.catalog import JobRecord
    from holdfast.repository import Repository
    from holdfast.settings import Settings

commands = Commands("")

Report = dict[str, Any]


@commands.command("status", rich_help_panel="Look")
def show_status() -> None:
    """Show how old and how well proven the backups are, and what runs.

    Nothing is started for it.
    """
    loaded = settings()
    report = gathered(loaded)
    output.result(report, lambda: _text(report))


def gathered(loaded: Settings) -> Report:
    """Ask each part by itself; the report says which ones answered."""
    catalog = _asked(lambda: _catalog(loaded))
    found = _asked(lambda: _repository(loaded))
    opened: Repository | None = found.pop("opened", None)
    return {
        "home": loaded.home,
        "repository": found,
        "catalog": {key: value for key, value in catalog.items() if key != "rows"},
        "prefect": _asked(lambda: _prefect(loaded)),
        "types": [_of_type(kind, loaded, opened, catalog.get("rows", [])) for kind in PRESENT],
    }


def _asked(question: Callable[[], Report]) -> Report:
    """Return the answer with `ok`, or what went wrong as the answer: one dead part hides no other."""
    try:
        return {"ok": True, **question()}
    except HoldfastError as error:
        return {"ok": False, "error": output.masked(error.message), "reason": error.reason, "nextStep": error.next_step}


def _repository(loaded: Settings) -> Report:
    opened = repository(loaded)
    return {"location": opened.location, "encrypted": opened.encrypted, "keyId": opened.keys.current_id, "opened": opened}


def _catalog(loaded: Settings) -> Report:
    where = "embedded" if loaded.catalog_url is None else "BACKUP_CATALOG_URL"
    rows = catalog_rows(loaded, None, 100)
    return {"kind": where, "running": rows is not None, "rows": rows or []}


def _prefect(loaded: Settings) -> Report:
    from orchestration.server import prefect_address

    address = prefect_address(loaded)
    return {"running": address is not None, "url": address}


def _of_type(kind: BackupType, loaded: Settings, opened: Repository | None, rows: list[JobRecord]) -> Report:
    off = why_off(kind, loaded)
    good = _last_good(kind, opened)
    failed = next((jobs.of_row(row) for row in rows if row.type == kind.value and row.status in ("failed", "cancelled")), None)
    return {
        "type": kind.value,
        "on": off is None,
        "offBecause": off,
        "overdue": off is None and opened is not None and _overdue(kind, loaded, good),
        "lastGood": good,
        "lastFailure": failed,
    }


def _last_good(kind: BackupType, opened: Repository | None) -> jobs.Document | None:
    if opened is None:
        return None
    return next((jobs.of_backup(opened, summary) for summary in opened.backups(kind.value) if summary.intact is not None), None)


def _overdue(kind: BackupType, loaded: Settings, good: jobs.Document | None) -> bool:
    """Tell whether the newest backup is older than its interval and a quarter more."""
    interval = timedelta(hours=getattr(loaded, f"{kind.value}_backup_interval") * 1.25)
    return good is None or datetime.now(UTC) - good["snapshotAt"] > interval


def _text(report: Report) -> Iterator[RenderableType]:
    for one in report["types"]:
        yield from _type_text(one)
    yield ""
    yield output.facts(
        ("Home", str(report["home"])),
        ("Repository", _part(report["repository"], _repository_text)),
        ("Catalog", _part(report["catalog"], _catalog_text)),
        ("Prefect", _part(report["prefect"], _prefect_text)),
    )
    hints = list(_hints(report))
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
    for name in ("repository", "catalog", "prefect"):
        if not report[name]["ok"] and report[name]["nextStep"]:
            yield report[name]["nextStep"]
    for one in report["types"]:
        if one["overdue"] and report["repository"]["ok"]:
            yield f"holdfast backup {one['type']}"
        elif one["lastGood"] and one["lastGood"]["verifiedLevel"] != "proven":
            yield f"holdfast verify latest --type {one['type']} --level proven"
