"""Holdfast beside pgBackRest, which copies a server's files: on the system's own PostgreSQL, for the embedded one is too new."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks import compare
from benchmarks.contenders.contender import why_absent
from benchmarks.older_stage import OlderStage
from benchmarks.section import Section
from benchmarks.system_server import newest_programs

TITLE = "Beside pgBackRest"
SIZES = ((1000, 2),)
CONTENDERS = frozenset({"dump", "pg_restore", "pgbackrest", "holdfast", "engine", "engine-bare"})
_UP_TO = 15
"""The newest server that Debian 12's pgBackRest knows, and has."""
_DATABASE = (
    "the database is not the sample's: five of its tables, with a few indexes each, for this server has no extension `vector`. "
    "pgBackRest copies the files of the whole server, indexes too, and brings back the whole server; it does not tell whether "
    "the rows are those of the source. What its restored server takes to become consistent counts as time, and not as CPU. "
    "The log of a backup's own time counts as stored, for a restore needs it; what would be archived between backups, "
    "which brings back any moment, is left out"
)
_NO_SERVER = f"no PostgreSQL up to {_UP_TO} on this machine; Debian 12: apt-get install postgresql"


def section(
    folder: Path,
    sizes: Sequence[tuple[int, int]] = SIZES,
    *,
    only: frozenset[str] = frozenset(),
    save: Callable[[Section], None] = lambda _: None,
) -> Section:
    """Measure at each size (MB on disk, rounds); where one of the two is not here, or nobody is asked for, say so."""
    programs, wanted = newest_programs(_UP_TO), CONTENDERS & only if only else CONTENDERS
    missing = [text for text in (why_absent("pgbackrest", "pgbackrest"), "" if programs else _NO_SERVER) if text]
    if programs is None or missing:
        return Section(TITLE, notes=missing)
    if not wanted:
        return Section(TITLE, notes=["nobody of this section was asked for"])
    about = f"PostgreSQL {programs.parent.name}: {_DATABASE}"

    def told(found: Section) -> Section:
        """Without the aims, which are of the sample's database."""
        return replace(found, targets=[], notes=[*found.notes, about])

    make = partial(OlderStage, programs=programs)
    return told(compare.section(folder, sizes, title=TITLE, only=wanted, save=lambda found: save(told(found)), make=make))
