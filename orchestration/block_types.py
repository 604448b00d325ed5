"""Which types of blocks a home's Prefect server has made known already, so that it need not load every cloud's library to start.

Prefect imports all collections at each start, only to find that it knows their blocks: a third of its processor time, and 70 MB
that it keeps. What was registered is noted beside the database, with the versions of what it came from.
Prefect's server imports the collections later where it does need a block, as a notification does.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any
from urllib.parse import quote

DATABASE = "prefect.db"
_NOTE = "block-types.json"
_DECIDED_BY_OTHERS = (
    "PREFECT_API_BLOCKS_REGISTER_ON_START",
    "PREFECT_SERVER_REGISTER_BLOCKS_ON_START",
    "PREFECT_MEMOIZE_BLOCK_AUTO_REGISTRATION",
    "PREFECT_SERVER_MEMOIZE_BLOCK_AUTO_REGISTRATION",
    "PREFECT_API_DATABASE_CONNECTION_URL",
    "PREFECT_SERVER_DATABASE_CONNECTION_URL",
)
"""Where one of these is set, blocks are registered as it says, or into another database."""


def settings_of_start(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return what keeps the server from registering what it has: nothing where a type may be missing or somebody else decides."""
    if not _is_ours(environment):
        return {}
    try:
        noted = json.loads((folder / _NOTE).read_text())
        collections, types = noted["collections"], set(noted["types"])
    except (OSError, ValueError, KeyError, TypeError):  # none, or none of ours
        return {}
    if not types or collections != _collections() or not types <= _types(folder):
        return {}
    return {"PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false", "PREFECT_SERVER_MEMOIZE_BLOCK_AUTO_REGISTRATION": "false"}


def note_registered(folder: Path, environment: Mapping[str, str]) -> None:
    """Note that the server has registered all types; it answers only after that."""
    if not _is_ours(environment):
        return
    with contextlib.suppress(OSError):  # without the note the next start takes longer, and no more
        fresh = folder / f"{_NOTE}.new"
        fresh.write_text(json.dumps({"collections": _collections(), "types": sorted(_types(folder))}))
        fresh.replace(folder / _NOTE)


def _is_ours(environment: Mapping[str, str]) -> bool:
    return not any(name in environment for name in _DECIDED_BY_OTHERS)


def _collections() -> dict[str, Any]:
    found = {one.name: f"{one.value} {one.dist.version if one.dist else ''}" for one in entry_points(group="prefect.collections")}
    return {"prefect": version("prefect"), **found}


def _types(folder: Path) -> set[str]:
    """Which types of blocks the database has; none where that can't be told."""
    address = f"file:{quote(str(folder / DATABASE))}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as database:
            return {slug for (slug,) in database.execute("SELECT slug FROM block_type")}
    except sqlite3.Error:  # not there, or not whole: the server says more of it than could be said here
        return set()
