"""How the database is: whether it answers, can be read, has what its newest good backup has, and is quick.

Damage goes before loss, and loss before slowness. A database that is locked is slow, and never damaged. What was not looked at is
said.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg2

from holdfast import figures
from holdfast.errors import HoldfastError, NotFoundError
from holdfast.postgres.connection import database_error, masked
from holdfast.recovery.assessing.completeness import Completeness
from holdfast.recovery.assessing.connecting import looking, without_connection
from holdfast.recovery.assessing.damage import damage_in
from holdfast.recovery.assessing.database_look import DatabaseLook, look_at_database
from holdfast.recovery.assessing.pressure import gather_evidence, in_words
from holdfast.recovery.assessing.table_reading import Reading
from holdfast.recovery.verdict import Verdict

if TYPE_CHECKING:
    from holdfast.postgres.url import DatabaseUrl
    from holdfast.recovery.deadline import Deadline
    from holdfast.recovery.world import World

_NAMED = 5
_ASK_SECONDS = 10
_IS_THERE = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = %s), pg_is_in_recovery()"
_REINDEX = (
    "the tables themselves can be read, so it may be an index: REINDEX mends that and loses nothing, "
    "and a restore loses what is newer than the backup"
)
_MOUNT = (
    "all of them are in a tablespace whose files are not there: it may only not be mounted; mounting it loses nothing, "
    "and a restore loses what is newer than the backup"
)
_TABLESPACE = re.compile(r'could not open file "pg_tblspc/.*No such file or directory')
_LOOK = "the server only counts its failures; an assessment with thorough: true says what is damaged, if anything is"


def assess(world: World, deadline: Deadline, *, thorough: bool) -> Verdict:
    """Look at the live database, and judge it."""
    try:
        url = world.database()
    except NotFoundError as error:
        return Verdict("database", "unknown", error.what_and_why)
    try:
        look = look_at_database(world, url, deadline, thorough=thorough)
        verdict = _of_standby(judge(look)) if look.evidence.get("standby") else judge(look)
    except NotFoundError as error:
        verdict = _confirmed(without_connection(error, url), url, deadline)
    except HoldfastError as error:
        verdict = without_connection(error, url)
    except psycopg2.Error as error:
        verdict = _broken_off(error, url)
    return _with_evidence(verdict, url, deadline) if verdict.state == "slow" else verdict


def judge(look: DatabaseLook) -> Verdict:
    """Judge what was seen."""
    if found := _damaged(look) or _incomplete(look):
        return found
    if look.held_up is not None:
        return Verdict("database", "slow", look.held_up, look.document())
    return _readable(look)


def _damaged(look: DatabaseLook) -> Verdict | None:
    if look.damage is not None:
        return Verdict("database", "damaged", f"it can't be read: {look.damage}", look.document())
    reading, structures = look.reading or Reading(), look.structures
    tables = {*reading.damaged, *structures.heaps}
    if affected := tuple(sorted(tables | structures.tables)):
        what = "" if tables else "an index of "
        reason = f"{what}{', '.join(figures.first(affected, _NAMED))} can't be read whole"
        return Verdict("database", "damaged", reason, look.document(), affected, _ask(reading, tables))
    if not look.failures:
        return None
    reason = f"the server has counted {figures.count(look.failures, 'failure')} of its checksums since the newest good backup"
    if look.reading is None:
        return Verdict("database", "damaged", f"{reason}, and what is damaged was not looked for", look.document(), (), _LOOK)
    if structures.installed and not reading.not_read and not structures.not_looked_at:
        return None  # all of it was looked at now, and is whole
    return Verdict("database", "damaged", f"{reason}, and what could be read now is whole", look.document(), (), _REINDEX)


def _ask(reading: Reading, tables: set[str]) -> str | None:
    """Say why a person has to decide, where there may be a way that loses nothing."""
    if tables and all(_TABLESPACE.search(reading.damaged.get(one, "")) for one in tables):
        return _MOUNT
    return None if tables else _REINDEX


def _incomplete(look: DatabaseLook) -> Verdict | None:
    complete = look.complete
    if not complete.missing:
        return None
    ask = f"whether they were dropped on purpose can't be told; backup {_backup(complete)} has rows of them"
    if complete.emptied:
        reason = f"nothing is left of the {figures.count(len(complete.missing), 'table')} that the newest good backup has rows of"
        return Verdict("database", "incomplete", reason, look.document() | {"empty": True}, (), ask)
    affected = tuple(complete.missing)
    reason = f"{', '.join(figures.first(affected, _NAMED))} {'is' if len(affected) == 1 else 'are'} gone"
    return Verdict("database", "incomplete", reason, look.document(), affected, ask)


def _backup(complete: Completeness) -> str:
    return complete.reference.manifest.id if complete.reference else ""


def _readable(look: DatabaseLook) -> Verdict:
    """Judge a database of which nothing bad was seen; say what was not seen at all."""
    evidence, reading = look.document(), look.reading
    if reading is None:
        return Verdict("database", "healthy", "it answers", evidence)
    if reading.lost:
        reason = f"the server broke the connection off while {', '.join(reading.lost)} was read"
        return Verdict("database", "unknown", reason, evidence)
    if reading.locked:
        reason = f"another session locks {', '.join(figures.first(reading.locked, _NAMED))}"
        return Verdict("database", "slow", reason, evidence)
    said = [f"it answers, and {figures.count(len(reading.rows), 'table')} could be read", *_remarks(look)]
    return Verdict("database", "healthy", "; ".join(said), evidence)


def _remarks(look: DatabaseLook) -> list[str]:
    """Say what nobody has to see to, and somebody may want to know."""
    reading, complete = look.reading or Reading(), look.complete
    said = []
    if fewer := complete.fewer(reading.rows):
        said.append(f"far fewer rows than in the newest good backup: {', '.join(figures.first(list(fewer), _NAMED))}")
    if complete.partitions:
        said.append(f"partitions of the backup that are gone: {', '.join(figures.first(complete.partitions, _NAMED))}")
    if reading.not_read:
        said.append(f"not read: {', '.join(figures.first(list(reading.not_read), _NAMED))}")
    return said


def _confirmed(lost: Verdict, url: DatabaseUrl, deadline: Deadline) -> Verdict:
    """Ask the server itself whether the database is gone, where it lets us: a pooler says so of one that it does not know."""
    try:
        with looking(url.maintenance(), deadline, statement_seconds=_ASK_SECONDS) as asked, asked.cursor() as cursor:
            cursor.execute(_IS_THERE, (url.database,))
            is_there, standby = cursor.fetchone() or (False, False)
    except (HoldfastError, psycopg2.Error):
        return lost  # whatever brings it back meets the same, and changes nothing
    if is_there:
        reason = f"we are told that there is no database {url.database!r}, and its server has it"
        return Verdict("database", "unknown", reason, lost.evidence)
    return _of_standby(lost) if standby else lost


def _of_standby(found: Verdict) -> Verdict:
    """Leave a standby alone: whatever is wrong with it comes from its primary, or is mended by a new standby."""
    if not found.is_to_be_recovered:
        return found
    reason = f"the server is a standby, where nothing can be brought back; {found.reason}"
    return replace(found, state="unknown", reason=reason, evidence=found.evidence | {"standby": True}, ask=None)


def _broken_off(error: psycopg2.Error, url: DatabaseUrl) -> Verdict:
    """Judge a server that had let us in."""
    said = masked(str(error).strip(), url)
    if damage := damage_in(error):
        return Verdict("database", "damaged", f"it can't be read: {masked(damage, url)}", {"said": said})
    ours = database_error(error, url, "it was looked at")
    if ours.retryable:
        reason = "the server took the connection, and broke off or said nothing more"
        return Verdict("database", "unreachable", reason, {"cause": "silent", "said": said})
    return Verdict("database", "unknown", f"the server refused to be looked at: {said}", {"said": said})


def _with_evidence(verdict: Verdict, url: DatabaseUrl, deadline: Deadline) -> Verdict:
    """Gather why it is slow, by a connection of its own: the one before may be the one that is stuck."""
    try:
        with looking(url, deadline, statement_seconds=1) as connection:
            gathered = gather_evidence(connection, url, deadline)
    except (HoldfastError, psycopg2.Error) as error:
        said = error.what_and_why if isinstance(error, HoldfastError) else masked(str(error).strip(), url)
        return replace(verdict, evidence=verdict.evidence | {"notGathered": {"all": said}})
    return replace(verdict, evidence=verdict.evidence | gathered | {"inWords": list(in_words(gathered))})
