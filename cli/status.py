"""`holdfast status`: how things stand, also while half of the system is down.

Nothing is started to answer. Each part is asked by itself and waited for a few seconds; one that does not answer is reported as
just that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cli import copies, output, replicas, status_text, status_types
from cli.app import Commands
from cli.backup_types import BackupType
from cli.session import settings
from holdfast import documents, patience
from holdfast.documents import Document
from holdfast.errors import HoldfastError, UnreachableError

if TYPE_CHECKING:
    from datetime import datetime

    from holdfast.alarms import Judgement
    from holdfast.catalog import JobRecord
    from holdfast.overview import Overview, Recorded
    from holdfast.repository import Repository
    from holdfast.settings import Settings
    from holdfast.storage.replica import Replica

commands = Commands("")

Report = dict[str, Any]
_LISTED = 20
_ROWS = 100
_PATIENCE_SECONDS = 10.0
_PRIMARY = "the primary storage"
_CATALOG = "the catalog"


@dataclass(frozen=True, slots=True)
class Seen:
    """What an open repository shows of itself; read in one go, for every look at a storage may take long."""

    name: str
    location: str
    encrypted: bool
    key_id: str | None
    newest: list[Document]
    last_good: dict[str, Document]
    intact: frozenset[str]
    copy: copies.Copy
    overview: Overview


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
    catalog = _of_catalog(loaded)
    loaded = catalog.pop("settings", loaded)
    known = Known(catalog.pop("rows", []), catalog.pop("recorded", None), *_of_prefect(loaded))
    primary = _patiently(lambda: _primary(loaded, known))
    looks = copies.look_at(loaded)
    seen = primary if isinstance(primary, Seen) else _stand_in(loaded, known, looks)
    overview = seen.overview if seen is not None else _unseen(loaded, known)
    judgement = _judged(loaded, known, primary)
    last_good = None if seen is None else seen.last_good
    return {
        "home": loaded.home,
        "repository": {**_repository(primary), "readFrom": seen.name if seen and seen is not primary else None},
        "replicas": [_replica(look, primary) for look in looks],
        "catalog": catalog,
        "prefect": _asked(lambda: _prefect(loaded)),
        "alarms": status_types.alarms(judgement),
        "types": [status_types.document(overview.of(kind.value), last_good, known.rows) for kind in BackupType],
        "rto": status_types.recovery(overview),
        "plans": status_types.plans(overview),
        "storage": status_types.storage(overview),
        "dedupRatio": overview.storage.dedup_ratio if overview.storage else None,
        "backups": _backups(primary, seen, looks, copies.recorded_in(known.rows)),
    }


@dataclass(frozen=True, slots=True)
class Known:
    """What catalog and Prefect server said, as far as they answer: rows, failures, the next runs, the alarms that are open."""

    rows: list[JobRecord]
    recorded: Recorded | None
    due: dict[str, datetime]
    opened: Judgement


def _of_prefect(loaded: Settings) -> tuple[dict[str, datetime], Judgement]:
    from orchestration.looking import prefect_to_ask, remembered
    from orchestration.next_runs import next_runs

    ask = prefect_to_ask(loaded)
    return {} if ask is None else next_runs(ask, loaded.target), remembered(ask, loaded.target)


def _unseen(loaded: Settings, known: Known) -> Overview:
    from holdfast.look import look_over

    return look_over(loaded, None, lambda _: known.recorded, known.due)


def _judged(loaded: Settings, known: Known, primary: Seen | HoldfastError) -> Judgement:
    """Judge the primary, and nothing in its stead: what a replica holds says nothing of it."""
    from orchestration.looking import judged, with_open

    overview = primary.overview if isinstance(primary, Seen) else _unseen(loaded, known)
    return with_open(judged(overview, loaded), known.opened)


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


def _primary(loaded: Settings, known: Known) -> Seen:
    from holdfast.opening import PRIMARY, read_repository

    with closing(read_repository(loaded)) as opened:
        return _seen(PRIMARY, opened, copies.live_copy(PRIMARY, loaded.storage_settings), loaded, known)


def _stand_in(loaded: Settings, known: Known, looks: Sequence[copies.Look]) -> Seen | None:
    """Look at the first replica that can be opened, where the primary can't be."""
    copy_in = {look.name: look.copy for look in looks if look.copy is not None}
    for replica in replicas.known(loaded):
        if replica.name in copy_in:
            found = _patiently(_looking_at(replica, copy_in[replica.name], loaded, known))
            if isinstance(found, Seen):
                return found
    return None


def _looking_at(replica: Replica, copy: copies.Copy, loaded: Settings, known: Known) -> Callable[[], Seen]:
    def look() -> Seen:
        from holdfast.opening import read_repository

        with closing(read_repository(loaded, source=replica)) as opened:
            return _seen(replica.name, opened, copy, loaded, known)

    return look


def _seen(name: str, opened: Repository, copy: copies.Copy, loaded: Settings, known: Known) -> Seen:
    from holdfast.look import look_over

    summaries = opened.backups()
    overview = look_over(loaded, opened, lambda _: known.recorded, known.due)
    good = {
        one.type: next((found for found in summaries if found.id == one.newest.id), None) for one in overview.types if one.newest
    }
    return Seen(
        name,
        opened.location,
        opened.encrypted,
        opened.keys.current_id,
        [documents.of_backup(opened, summary) for summary in summaries[:_LISTED]],
        {kind: documents.of_backup(opened, summary) for kind, summary in good.items() if summary is not None},
        frozenset(summary.id for summary in summaries if summary.intact is not None),
        copy,
        overview,
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

    def placed(job: Document) -> Report:
        in_primary = here if job["status"] == "completed" else None
        places = copies.copies_of(job["jobId"], in_primary, looks, recorded.get(job["jobId"], []))
        known = {name: job[name] for name in ("jobId", "type", "snapshotAt")}
        return {**known, "copies": copies.documents(places), "threeTwoOne": copies.rule(places)}

    return [placed(job) for job in (seen.newest if seen is not None else [])]


def _of_catalog(loaded: Settings) -> Report:
    """Ask the catalog for what it has recorded, and for the configuration that it keeps."""
    answer = patience.ask_all({_CATALOG: lambda: _catalog(loaded)}, copies.PATIENCE_SECONDS)[_CATALOG]
    return _wrong(answer) if isinstance(answer, HoldfastError) else {"ok": True, **answer}


def _catalog(loaded: Settings) -> Report:
    from holdfast.opening import catalog_if_running
    from holdfast.overview import Recorded
    from holdfast.settings import load_settings

    where = {"kind": "embedded" if loaded.catalog_url is None else "BACKUP_CATALOG_URL"}
    try:
        with catalog_if_running(loaded) as catalog:
            if catalog is None:
                return {**where, "running": False}
            rows = catalog.jobs(limit=_ROWS)
            in_force = load_settings(catalog)
            tests = catalog.plans.tests(in_force.plan_test_days)
            recorded = Recorded.of(catalog.dashboard(), {row.job_id: row.metadata for row in rows}, tests)
            return {**where, "running": True, "rows": rows, "recorded": recorded, "settings": in_force}
    except UnreachableError:
        return {**where, "running": False}


def _prefect(loaded: Settings) -> Report:
    from orchestration.server import prefect_address

    address = prefect_address(loaded)
    return {"running": address is not None, "url": address}
