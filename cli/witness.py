"""What the demo compares before the disaster and after it: every row, definition, file and mode, as the system itself has them.

It uses nothing of the backup: rows are counted and hashed by PostgreSQL, definitions are the text of `pg_dump --schema-only`,
and files are read from the disk.
"""

from __future__ import annotations

import hashlib
import io
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from holdfast.postgres.connection import DatabaseUrl
from holdfast.postgres.process import run_tool
from holdfast.postgres.snapshot import Snapshot
from holdfast.postgres.tools import find_tool


@dataclass(frozen=True, slots=True)
class Witness:
    """One database at one moment: (schema, table) → rows and order-free hash of them, and all definitions."""

    tables: dict[tuple[str, str], tuple[int, int]]
    definitions: str

    @property
    def rows(self) -> int:
        """The rows of all tables."""
        return sum(rows for rows, _ in self.tables.values())


def witness(url: DatabaseUrl) -> Witness:
    """Look at a database."""
    with Snapshot(url) as snapshot:
        tables = snapshot.countable()
        rows, hashes = snapshot.count_rows(tables), snapshot.content_hashes(tables)
        major = snapshot.server.major
    tool = find_tool("pg_dump", at_least_major=major)
    with (
        run_tool(tool, ["--schema-only", "-w"], url=url, stdout="pipe") as child,
        io.TextIOWrapper(io.BufferedReader(child.stdout)) as text,
    ):
        definitions = [line for line in text if not line.startswith(("\\restrict", "\\unrestrict"))]
    return Witness({key: (rows[key], hashes[key]) for key in rows}, "".join(definitions))


FileWitness = dict[str, tuple[str, str]]
"""Path below a folder → mode, as `ls` writes it, and SHA-256 of the content."""

_ENV_LINE = re.compile(r"^(?:export )?([A-Z_]+)=(.*)$", re.MULTILINE)
_READ_BYTES = 1 << 20


def witness_files(folder: Path) -> FileWitness:
    """Look at all files and folders below a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[path.relative_to(folder).as_posix()] = (stat.filemode(path.lstat().st_mode), content)
    return found


def values_in(env_file: Path) -> dict[str, str]:
    """Read the names and values of a `.env` file."""
    return {name: value.strip("'\"") for name, value in _ENV_LINE.findall(env_file.read_text())}


def files_that_hold(values: Iterable[str], folder: Path) -> Iterator[Path]:
    """Yield each file below a folder that holds one of these values in clear."""
    wanted = [value.encode() for value in values]
    overlap = max(map(len, wanted))
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and _holds(wanted, path, overlap):
            yield path


def _holds(wanted: list[bytes], path: Path, overlap: int) -> bool:
    before = b""
    with path.open("rb") as file:
        while part := file.read(_READ_BYTES):
            if any(value in before + part for value in wanted):
                return True
            before = part[-overlap:]
    return False
