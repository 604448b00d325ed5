"""What of a broken part has come back: whole, or what is still amiss, and how much was lost for ever.

A part is whole where each thing in it is what it was before the fault, or what the newest backup had of it: a table of the backup
lacks what was written since, which is what was lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg2

from cli.demo_sample import Sample, silent_of
from cli.witness import values_in, witness, witness_files
from examples.content_pipeline.fault import statements
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from examples.content_pipeline.fault import Part

_JOURNAL = "ops.ddl_log"
"""The sample's own journal of what is created and dropped: the fault and the recovery are in it, as they should be."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A part at one moment, as it tells itself: its things by name (tables, files, secrets), of tables their rows, too."""

    things: Mapping[str, object]
    rows: Mapping[str, int]
    definitions: str = ""
    fleeting: frozenset[str] = frozenset()
    """Unlogged tables: PostgreSQL itself empties them when its server was killed."""


@dataclass(frozen=True, slots=True)
class Returned:
    """How a part stands after a fault. `amiss` is what is not back, None: it is whole."""

    amiss: str | None
    lost_rows: int = 0
    older: tuple[str, ...] = ()
    """Things that are as the backup had them, and not as they were last."""


def sight_of(part: Part, sample: Sample) -> Sighting:
    """Look at a part. Raises HoldfastError, psycopg2.Error, OSError where it is broken."""
    if part == "database":
        found = witness(sample.url)
        tables = {".".join(name): facts for name, facts in found.tables.items() if ".".join(name) != _JOURNAL}
        rows = {name: count for name, (count, _) in tables.items()}
        return Sighting(tables, rows, found.definitions, _unlogged(sample))
    if part == "function":
        return Sighting(witness_files(sample.files.functions), {})
    return Sighting(witness_files(sample.files.settings) if part == "config" else values_in(sample.files.env_file), {})


def returned(part: Part, sample: Sample, *, backed_up: Sighting, last: Sighting) -> Returned:
    """Compare a part with what it was when it was backed up, and last before the fault."""
    try:
        now = sight_of(part, sample)
    except (HoldfastError, psycopg2.Error, OSError) as error:
        return Returned(f"it can't be looked at: {str(error).strip().splitlines()[0]}")
    if part == "secrets":
        return _secrets(now, last, sample)
    found = compared(now, backed_up, last)
    if found.amiss is None and part == "function" and (silent := silent_of(sample.call_functions(0))):
        return Returned("; ".join(silent))
    return found


def compared(now: Sighting, backed_up: Sighting, last: Sighting) -> Returned:
    """Compare each thing, and count the rows that are not there any more."""
    if now.definitions != last.definitions:
        return Returned("its definitions are others")
    names = sorted(now.things.keys() | last.things.keys())
    changed = [name for name in names if now.things.get(name) != last.things.get(name)]
    if strange := [name for name in changed if not _is_known(name, now, backed_up, last)]:
        return Returned(f"{', '.join(strange[:3])} {'is' if len(strange) == 1 else 'are'} neither as last nor as in the backup")
    lost = sum(max(0, last.rows[name] - now.rows[name]) for name in changed if name in last.rows)
    return Returned(None, lost, tuple(changed))


def _is_known(name: str, now: Sighting, backed_up: Sighting, last: Sighting) -> bool:
    """Tell whether a thing that changed is as in the backup, or what PostgreSQL makes of an unlogged table after a crash."""
    emptied = name in last.fleeting and now.rows.get(name) == 0
    return name in now.things and (emptied or now.things[name] == backed_up.things.get(name))


def _unlogged(sample: Sample) -> frozenset[str]:
    with statements(sample.url) as cursor:
        cursor.execute(
            "SELECT nspname || '.' || relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
            "WHERE relpersistence = 'u'"
        )
        return frozenset(name for (name,) in cursor.fetchall())


def _secrets(now: Sighting, last: Sighting, sample: Sample) -> Returned:
    """A leaked value can't be called back: all is well when it opens nothing any more, and all other values are as they were."""
    log = sample.parts.log.read_text(encoding="utf-8")
    if known := [name for name in sample.files.secrets if str(now.things.get(name, "")) in log]:
        return Returned(f"the value of {', '.join(known)} stands in the log, or there is none")
    leaked = {name for name in sample.files.secrets if str(last.things[name]) in log}
    others = {name: value for name, value in now.things.items() if name not in leaked}
    before = {name: value for name, value in last.things.items() if name not in leaked}
    return compared(Sighting(others, {}), Sighting(before, {}), Sighting(before, {}))
