"""Entries that wait for the catalog: private files of a home, durable before whoever made the entry goes on.

The next writer who reaches the catalog takes them into the chain, in order, and then deletes them. An entry's id keeps one that
was taken from being taken twice, so a process may be killed at any step.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.private_file import write_private
from holdfast.repository import canonical

Json = dict[str, Any]

_NAME = re.compile(r"([0-9]{12})-([0-9a-f]{32})\.json")


@dataclass(frozen=True, slots=True)
class WaitingEntry:
    """An entry's record in its file; None where the file can't be read."""

    path: Path
    record: Json | None


class Waiting:
    """The entries that wait in one folder. Its order is that in which they came, whatever the clock said."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, record: Json) -> None:
        """Keep an entry until the catalog takes it, durably. Raises OSError."""
        last = max((int(path.name[:12]) for path in self.paths()), default=0)
        write_private(self._folder / f"{last + 1:012}-{record['id']}.json", canonical.to_bytes(record))

    def paths(self) -> list[Path]:
        """Name the files, in order."""
        try:
            return sorted(path for path in self._folder.iterdir() if _NAME.fullmatch(path.name))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def all(self) -> list[WaitingEntry]:
        """Read what waits, in order. Raises OSError."""
        found = []
        for path in self.paths():
            try:
                found.append(WaitingEntry(path, _record(path)))
            except FileNotFoundError:  # another has just taken it
                continue
        return found


def _record(path: Path) -> Json | None:
    try:
        return canonical.from_bytes(path.read_bytes())
    except ValueError:
        return None
