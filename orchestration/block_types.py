"""Which types of blocks a home's Prefect server has made known already, so that it need not load every cloud's library to start.

Prefect imports all collections at each start, only to find that it knows their blocks: a third of its processor time, and 70 MB
that it keeps. What was registered is noted beside the database, with the versions of what it came from.
Prefect's server imports the collections later where it does need a block, as a notification does.
"""

from __future__ import annotations

import contextlib
import json
import os
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
    "PREFECT_API_DATABASE_",
    "PREFECT_SERVER_DATABASE_",
    "PREFECT_PROFILE",
)
"""How names of variables begin by which blocks are registered otherwise, or into another database."""

_FILES_OF_SETTINGS = ("profiles.toml", "prefect.toml", "pyproject.toml", ".env")
"""What Prefect reads beside its database, and what may say the same."""

_ALL_ANEW = {"PREFECT_SERVER_MEMO_STORE_PATH": os.devnull}
"""Prefect remembers that it has registered all of these versions, but not that the database still has it."""


def settings_of_start(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return what keeps the server from registering what it has, or where a type may be missing, what has it register all.

    Nothing where somebody else decides.
    """
    if not _is_ours(folder, environment):
        return {}
    try:
        noted = json.loads((folder / _NOTE).read_text())
        collections, types = noted["collections"], set(noted["types"])
    except (OSError, ValueError, KeyError, TypeError):  # none, or none of ours
        return _ALL_ANEW
    if not types or collections != _collections() or not types <= _types(folder):
        return _ALL_ANEW
    return {"PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false", "PREFECT_SERVER_MEMOIZE_BLOCK_AUTO_REGISTRATION": "false"}


def note_registered(folder: Path, environment: Mapping[str, str]) -> None:
    """Note that the server has registered all types; it answers only after that."""
    if not _is_ours(folder, environment):
        return
    with contextlib.suppress(OSError):  # without the note the next start takes longer, and no more
        fresh = folder / f"{_NOTE}.new"
        fresh.write_text(json.dumps({"collections": _collections(), "types": sorted(_types(folder))}))
        fresh.replace(folder / _NOTE)


def _is_ours(folder: Path, environment: Mapping[str, str]) -> bool:
    named = any(name.upper().startswith(_DECIDED_BY_OTHERS) for name in environment)  # Prefect takes small letters, too
    return not named and not any((folder / name).exists() for name in _FILES_OF_SETTINGS)


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
