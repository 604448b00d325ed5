"""A database brought back as its trouble asks for: made anew, promoted beside the damaged one, or only the tables that are gone.

What was live is kept, and nothing takes its name before it is proven. Whoever is disconnected by that is named.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from holdfast import figures
from holdfast.errors import HoldfastError, NotFoundError
from holdfast.postgres.aside import set_aside
from holdfast.postgres.contents import BackupContents
from holdfast.postgres.limit import TimeLimit
from holdfast.postgres.promote import kept_since, number_of, swap_back
from holdfast.postgres.restore_report import RestoreOptions
from holdfast.postgres.selection import select
from holdfast.postgres.sessions import connected
from holdfast.postgres.ties import restore_ties
from holdfast.recovery.restoring.choice import Choice, how_old
from holdfast.recovery.restoring.looking import is_left_alone, judged, look, verdict_for
from holdfast.recovery.restoring.server import start_server, still_silent
from holdfast.recovery.step_type import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.postgres.url import DatabaseUrl
    from holdfast.recovery.restoring.wanted import BackupRestoreParameters
    from holdfast.recovery.step_type import Work
    from holdfast.recovery.verdict import Verdict
    from holdfast.repository import Manifest

Json = dict[str, Any]

_MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class Way:
    """How it is brought back: the restore's mode, and single tables where it is not all of it."""

    mode: str
    tables: tuple[str, ...] = ()

    @property
    def replaces(self) -> bool:
        """Whether something that is live makes way."""
        return self.mode != "new"

    @property
    def falls_back(self) -> bool:
        """Whether one backup that is no good leaves everything as it was, so that the next may be tried."""
        return self.mode != "in_place" and not self.tables

    def __str__(self) -> str:
        if self.tables:
            tables = ", ".join(figures.first(self.tables, _MOST_NAMED))
            return f"add {tables} to what is there, in one transaction, and make again what fell with them"
        if self.mode == "promote":
            return "build it beside the live database, prove it, and give it the live one's name; the live one is kept"
        if self.mode == "in_place":
            return "replace what the live database holds, in one transaction; what is replaced is not kept"
        return "make it anew, and give it its name once it is proven"


def recover_database(work: Work, wanted: BackupRestoreParameters) -> Outcome:
    """Bring the database back where it is in trouble, or where a person forces it."""
    verdict, started = _verdict(work, wanted)
    kept_before = _kept_before(work, wanted) if verdict.state != "lost" else None
    if kept_before is not None and not verdict.is_to_be_recovered:
        return _done_before(work, verdict, wanted, kept_before)
    if is_left_alone(work, verdict):
        return _left_alone(verdict, started, _mended(work, wanted))
    way = way_for(verdict, wanted)
    choice = _choice(work, wanted, way)
    place = _place(work, wanted.target)
    disconnected = connected(place) if way.replaces else []

    def bring(manifest: Manifest) -> Json:
        done = work.world.restore("database", manifest.id, work.deadline, mode=way.mode, tables=way.tables, target=wanted.target)
        return done | {"seconds": round(time.monotonic() - began, 3)}

    began = time.monotonic()
    manifest, done = choice.bring(bring, falls_back=way.falls_back)
    ties, not_made = _restore_ties(work, wanted, way, manifest) if way.tables else ([], ())
    brought = None if way.mode == "in_place" or way.tables else number_of(place)
    output = {
        **choice.document(manifest),
        **{name: done[name] for name in ("mode", "target", "tables", "rows", "kept", "losses")},
        "restoreId": done["jobId"],
        "restoreSeconds": done["seconds"],
        "disconnected": disconnected,
        "started": started,
        "found": verdict.state,
        "ties": ties,
    }
    left_out = () if way.tables else done["notes"]  # what single tables leave out is what the ties are
    notes = (*choice.notes, *left_out, *not_made)
    undo = _undo(work, wanted, way, manifest, done | {"kept": kept_before or done["kept"], "brought": brought})
    return Outcome(_summary(manifest, way, done), output, notes, undo=undo)


def _choice(work: Work, wanted: BackupRestoreParameters, way: Way) -> Choice:
    lacks = partial(_lacks, work, way)
    return Choice(work.world, "database", wanted.backup_id, work.deadline, no_older_than=work.agreed_at, lacks=lacks)


def _lacks(work: Work, way: Way, manifest: Manifest) -> str | None:
    """Say of a backup that was made when tables were gone already which it has not."""
    if not way.tables:
        return None
    contents = BackupContents(work.world.repository, manifest, spool_parent=work.world.settings.home / "spool")
    try:
        select(contents.archive, way.tables)
    except NotFoundError as error:
        return error.what_and_why
    finally:
        contents.close()
    return None


def foresee_database(work: Work, wanted: BackupRestoreParameters) -> list[str]:
    """Say what would be done, with which backup, and what would be lost by that."""
    verdict = work.verdicts.get("database") or look(work, "database")
    said = [f"the database is {verdict.state}: {verdict.reason}"]
    if is_left_alone(work, verdict):
        return [*said, "nothing would be done"]
    if verdict.state == "unreachable" and wanted.target is None:
        name = work.world.settings.database_service
        if name is None:
            return [*said, "it would fail, for BACKUP_DATABASE_SERVICE names no service to start"]
        said.append(f"the service {name} would be started, and only what is then found lost or damaged would be brought back")
    way = way_for(verdict, wanted)
    choice = _choice(work, wanted, way)
    manifest = choice.first()
    said += [*choice.notes, f"{how_old(manifest)}, would be read whole, and used if it is good; else the next older one"]
    if verdict.state != "unreachable":
        said.append(f"it would {way}")
    return [*said, *_foreseen_losses(work, wanted, way, manifest)] if way.replaces and verdict.state != "unreachable" else said


def way_for(verdict: Verdict, wanted: BackupRestoreParameters) -> Way:
    """Choose how it is brought back by what is in trouble, unless the step says how."""
    if wanted.mode is not None:
        return Way(wanted.mode)
    if wanted.target is not None or verdict.state == "lost":
        return Way("new")
    if verdict.state == "incomplete" and verdict.affected:
        return Way("new", verdict.affected)
    return Way("promote")


def undo_database(work: Work, undo: Json) -> Outcome:
    """Bring back what was replaced, and keep what had replaced it: nothing is dropped."""
    place = _place(work, undo["target"])
    if "tables" in undo:
        schema = set_aside(place, [(one, other) for one, other in undo["tables"]])
        return Outcome(f"The tables that were added are in the schema {schema} now", {"schema": schema})
    undone = swap_back(place, undo["kept"], undo.get("brought"))
    what = f"{undo['kept']} is {place.database} again" if undo["kept"] else f"{place.database} has lost its name again"
    kept = f"; what was brought back is kept as {undone}" if undone else ""
    return Outcome(f"{what}{kept}", {"undone": undone})


def _verdict(work: Work, wanted: BackupRestoreParameters) -> tuple[Verdict, list[str]]:
    """Tell how the database stands; one that did not answer is looked at again, and its server is started."""
    known = work.verdicts.get("database")
    if known is None or known.state != "unreachable":
        known = verdict_for(work, "database")
    if known.state != "unreachable" or wanted.target is not None:
        return known, []
    found = look(work, "database")
    if found.state != "unreachable":
        return judged(work, found), []
    started = start_server(work, found.reason)
    found = look(work, "database")
    if found.state == "unreachable":
        raise still_silent(work, found.reason)
    return judged(work, found), started


def _left_alone(verdict: Verdict, started: Sequence[str], notes: tuple[str, ...]) -> Outcome:
    output = {"found": verdict.state, "started": list(started)}
    if started:
        return Outcome(f"The server was down, not the data: it was started, and {verdict.reason}", output, notes, needed=False)
    said = f"The database is {verdict.state}, so nothing was brought back: {verdict.reason}"
    return Outcome(said, output, notes, needed=False)


def _kept_before(work: Work, wanted: BackupRestoreParameters) -> str | None:
    """Name what an earlier attempt kept, which was killed, or cut off, after its promote and before that was written down."""
    if not work.outdated or work.begun_at is None:
        return None
    return kept_since(_place(work, wanted.target), work.begun_at)


def _done_before(work: Work, verdict: Verdict, wanted: BackupRestoreParameters, kept: str) -> Outcome:
    said = f"An attempt before this one had brought it back, and {verdict.reason}; the former database is kept as {kept}"
    undo = {"target": wanted.target, "kept": kept, "brought": number_of(_place(work, wanted.target))}
    return Outcome(said, {"found": verdict.state, "kept": kept}, undo=undo)


def _mended(work: Work, wanted: BackupRestoreParameters) -> tuple[str, ...]:
    """Make again what fell with tables that an earlier attempt may have brought back, when it got no further; say what."""
    known = work.verdicts.get("database")
    if not work.outdated or known is None or not known.affected or way_for(known, wanted).replaces:
        return ()
    way = way_for(known, wanted)
    made, not_made = _restore_ties(work, wanted, way, _choice(work, wanted, way).first())
    return (*(f"made again, for it had fallen with its table: {one}" for one in made), *not_made)


def _place(work: Work, target: str | None) -> DatabaseUrl:
    return work.world.database() if target is None else work.world.find_database(target)


def _summary(manifest: Manifest, way: Way, done: Json) -> str:
    what = f"{figures.count(done['tables'], 'table')} with {done['rows']:,} rows came back from {how_old(manifest)}"
    if done["kept"]:
        return f"{what}; the former database is kept as {done['kept']}"
    return f"{what}, beside what was there" if way.tables else what


def _undo(work: Work, wanted: BackupRestoreParameters, way: Way, manifest: Manifest, done: Json) -> Json | None:
    if way.mode == "in_place":
        return None
    if not way.tables:
        return {"target": wanted.target, "kept": done["kept"], "brought": done["brought"]}
    contents = BackupContents(work.world.repository, manifest)
    return {"target": wanted.target, "tables": sorted(select(contents.archive, way.tables).tables)}


def _restore_ties(work: Work, wanted: BackupRestoreParameters, way: Way, manifest: Manifest) -> tuple[list[str], tuple[str, ...]]:
    """Make again what fell with the tables; return what that is, and what could not be made. The tables are back in any case."""
    settings, place = work.world.settings, _place(work, wanted.target)
    options = RestoreOptions.of(settings, "new", ())
    limit = TimeLimit(work.deadline.seconds_left, "making again what hangs on the tables")
    contents = BackupContents(work.world.repository, manifest, spool_parent=options.spool_dir)
    try:
        with limit, work.deadline.stopping(limit.stop):
            tables = select(contents.archive, way.tables).tables
            ties = restore_ties(contents, place, tables, limit, options)
    except HoldfastError as error:
        return [], (f"what else fell with the tables was not made again: {error.what_and_why}",)
    finally:
        contents.close()
    return ties.made, tuple(f"not made again: {one}" for one in ties.not_made)


def _foreseen_losses(work: Work, wanted: BackupRestoreParameters, way: Way, manifest: Manifest) -> list[str]:
    looked = work.world.restore("database", manifest.id, work.deadline, mode=way.mode, target=wanted.target, dry_run=True)
    sessions = sum(one["count"] for one in connected(_place(work, wanted.target)))
    said = [f"{figures.count(sessions, 'session')} would be disconnected"] if sessions else []
    if looked["losses"] is None:
        return [*said, *looked["notes"]]
    lost = [f"{one['table']}: {one['rows']} of {one['liveRows']} rows" for one in looked["losses"]]
    rows = sum(one["rows"] for one in looked["losses"])
    told = f"at least {rows:,} rows would be lost that the backup has not: {'; '.join(figures.first(lost, _MOST_NAMED))}"
    return [*said, told if lost else "no table has more rows than in the backup; changed rows can't be told"]
