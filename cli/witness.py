"""What the demo compares before the disaster and after it: every row and every definition, asked of the server itself.

It uses nothing of the backup: rows are counted and hashed by PostgreSQL, definitions are the text of `pg_dump --schema-only`.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

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
