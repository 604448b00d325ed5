"""`holdfast status`: how things stand, also while half of the system is down.

Nothing is started to answer. Each part is asked by itself and waited for a few seconds; one that does not answer is reported as
just that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cli import copies, jobs, output, patience, replicas, status_text
from cli.app import Commands
from cli.backup_types import BackupType
from cli.listing import catalog_rows
from cli.session import settings
from holdfast.backup_types import why_off
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from holdfast.catalog import JobRecord
    from holdfast.repository import Repository
    from holdfast.settings import Settings
    from holdfast.storage.replica import Replica

commands = Commands("")

Report = dict[str, Any]
_LISTED = 20
_PATIENCE_SECONDS = 10.0
_PRIMARY = "the primary storage"


@dataclass(frozen=True, slots=True)
class Seen:
    """What an open repository shows of itself; read in one go, for every look at a storage may take long."""

    name: str
    location: str
    encrypted: bool
    key_id: str | None
    newest: list[jobs.Document]
    last_good: dict[str, jobs.Document]
    intact: frozenset[str]
    copy: copies.Copy


@commands.command("status", rich_help_panel="Look")
def show_status() -> None:
    """Show how old, how well proven and how well copied the backups are, and what runs.

    Nothing is started for it.
    """
    loaded = settings()
    report = gathered(loaded)
    output.result(report, lambda: status_text.lines(report))
    patience.leave()


def gathered(loaded: Settings) -> Report:
    """Ask each part by itself; the report says which ones answered."""
    catalog = _asked(lambda: _catalog(loaded))
    rows: list[JobRecord] = catalog.pop("rows", [])
    primary = _patiently(lambda: _primary(loaded))
    looks = copies.look_at(loaded)
    seen = primary if isinstance(primary, Seen) else _stand_in(loaded, looks)
    return {
        "home": loaded.home,
        "repository": {**_repository(primary), "readFrom": seen.name if seen and seen is not primary else None},
        "replicas": [_replica(look, primary) for look in looks],
        "catalog": catalog,
        "prefect": _asked(lambda: _prefect(loaded)),
        "types": [_of_type(kind, loaded, seen, rows) for kind in BackupType],
        "backups": _backups(primary, seen, looks, copies.recorded_in(rows)),
    }


def _asked(question: Callable[[], Report]) -> Report:
    """Return the answer with `ok`, or what went wrong as the answer: one dead part hides no other."""
    try:
        return {"ok": True, **question()}
    except HoldfastError as error:
        return _wrong(error)


def _wrong(error: HoldfastError) -> Report:
    return {"ok": False, "error": output.masked(error.message), "reason": error.reason, "nextStep": error.next_step}


def _patiently(question: Callable[[], Seen]) -> Seen | HoldfastError:
    return patience.ask_all({_PRIMARY: question}, _PATIENCE_SECONDS)[_PRIMARY]


def _primary(loaded: Settings) -> Seen:
    from holdfast.opening import PRIMARY, read_repository

    with closing(read_repository(loaded)) as opened:
        return _seen(PRIMARY, opened, copies.live_copy(PRIMARY, loaded.storage_settings))


def _stand_in(loaded: Settings, looks: Sequence[copies.Look]) -> Seen | None:
    """Look at the first replica that can be opened, where the primary can't be."""
    copy_in = {look.name: look.copy for look in looks if look.copy is not None}
    for replica in replicas.known(loaded):
        if replica.name in copy_in:
            found = _patiently(_looking_at(replica, copy_in[replica.name], loaded))
            if isinstance(found, Seen):
                return found
    return None


def _looking_at(replica: Replica, copy: copies.Copy, loaded: Settings) -> Callable[[], Seen]:
    def look() -> Seen:
        from holdfast.opening import read_repository

        with closing(read_repository(loaded, source=replica)) as opened:
            return _seen(replica.name, opened, copy)

    return look


def _seen(name: str, opened: Repository, copy: copies.Copy) -> Seen:
    summaries = opened.backups()
    good = {kind.value: next((one for one in summaries if one.type == kind.value and one.intact), None) for kind in BackupType}
    return Seen(
        name,
        opened.location,
        opened.encrypted,
        opened.keys.current_id,
        [jobs.of_backup(opened, summary) for summary in summaries[:_LISTED]],
        {kind: jobs.of_backup(opened, summary) for kind, summary in good.items() if summary is not None},
        frozenset(summary.id for summary in summaries if summary.intact is not None),
        copy,
    )


def _repository(primary: Seen | HoldfastError) -> Report:
    if isinstance(primary, HoldfastError):
        return _wrong(primary)
    return {"ok": True, "location": primary.location, "encrypted": primary.encrypted, "keyId": primary.key_id}


def _replica(look: copies.Look, primary: Seen | HoldfastError) -> Report:
    """Describe a replica: how many backups it holds, and how many of the primary's it lacks."""
    if look.copy is None:
        names = ("location", "kind", "offsite", "asOf", "backups", "behind")
        wrong = _wrong(look.error) if look.error is not None else {"ok": False}
        return {"name": look.name, **dict.fromkeys(names), **wrong}
    (where,) = copies.documents([look.copy])
    return {
        "name": look.name,
        "ok": True,
        **{name: where[name] for name in ("location", "kind", "offsite", "asOf")},
        "backups": len(look.held),
        "behind": len(primary.intact - look.held.keys()) if isinstance(primary, Seen) else None,
    }


def _backups(
    primary: Seen | HoldfastError,
    seen: Seen | None,
    looks: Sequence[copies.Look],
    recorded: dict[str, list[copies.Copy]],
) -> list[Report]:
    """Tell of the newest backups where each lies, and whether 3-2-1 holds for it."""
    here = primary.copy if isinstance(primary, Seen) else None

    def placed(job: jobs.Document) -> Report:
        in_primary = here if job["status"] == "completed" else None
        places = copies.copies_of(job["jobId"], in_primary, looks, recorded.get(job["jobId"], []))
        known = {name: job[name] for name in ("jobId", "type", "snapshotAt")}
        return {**known, "copies": copies.documents(places), "threeTwoOne": copies.rule(places)}

    return [placed(job) for job in (seen.newest if seen is not None else [])]


def _catalog(loaded: Settings) -> Report:
    where = "embedded" if loaded.catalog_url is None else "BACKUP_CATALOG_URL"
    rows = catalog_rows(loaded, None, 100)
    return {"kind": where, "running": rows is not None, "rows": rows or []}


def _prefect(loaded: Settings) -> Report:
    from orchestration.server import prefect_address

    address = prefect_address(loaded)
    return {"running": address is not None, "url": address}


def _of_type(kind: BackupType, loaded: Settings, seen: Seen | None, rows: Sequence[JobRecord]) -> Report:
    off = why_off(kind.value, loaded)
    good = seen.last_good.get(kind.value) if seen is not None else None
    failed = next((jobs.of_row(row) for row in rows if row.type == kind.value and row.status in ("failed", "cancelled")), None)
    return {
        "type": kind.value,
        "on": off is None,
        "offBecause": off,
        "overdue": off is None and seen is not None and _overdue(kind, loaded, good),
        "lastGood": good,
        "lastFailure": failed,
    }


def _overdue(kind: BackupType, loaded: Settings, good: jobs.Document | None) -> bool:
    """Tell whether the newest backup is older than its interval and a quarter more."""
    interval = timedelta(hours=getattr(loaded, f"{kind.value}_backup_interval") * 1.25)
    return good is None or datetime.now(UTC) - good["snapshotAt"] > interval
