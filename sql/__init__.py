"""The catalog's SQL, read from the files beside this one: they are the truth, Python only runs them.

`migrations/` is what was done, in order, and is never changed once released. `functions/` is the functions as they are now; a
migration takes one in with psql's `\\ir`, so that psql can run the same file. `queries/` is what the Python code asks, by name.
`schema.sql` is the whole result, for a reader; a test proves that it is.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent
_INCLUDE = re.compile(r"^\\ir\s+(\S+)\s*$", re.MULTILINE)
_QUERY = re.compile(r"^-- name: (\w+)\n((?:-- .*\n)+)", re.MULTILINE)


def migrations() -> list[str]:
    """Name the migrations, in the order in which they run."""
    return sorted(path.stem for path in (_FOLDER / "migrations").glob("*.sql"))


def migration(name: str) -> str:
    """Read a migration, with the files that it takes in."""
    return _read(_FOLDER / "migrations" / f"{name}.sql")


def schema() -> str:
    """Read the whole schema as one script that may be run again."""
    return (_FOLDER / "schema.sql").read_text(encoding="utf-8")


@cache
def queries(name: str) -> dict[str, str]:
    """Read the queries of a file, by name. A parameter is written `:name`, and cast with CAST, never with `::`."""
    parts = _QUERY.split((_FOLDER / "queries" / f"{name}.sql").read_text(encoding="utf-8"))[1:]
    return {parts[at]: parts[at + 2].strip() for at in range(0, len(parts), 3)}


def _read(path: Path) -> str:
    """Read a script, putting each file named by `\\ir` in its place, relative to the script as psql does."""
    return _INCLUDE.sub(lambda found: _read(path.parent / found[1]), path.read_text(encoding="utf-8"))
