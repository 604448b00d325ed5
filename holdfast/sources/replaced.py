"""The journal of what a restore replaced or made: written before each step, so that a roll-back finds all after a death, too."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from holdfast.errors import DamagedError, NotFoundError
from holdfast.sources.placing import sync_path

JOURNAL = "replaced.json"
_SCHEMA = 1

State = Literal["begun", "kept", "undone"]


@dataclass(frozen=True, slots=True)
class Replaced:
    """One file: `kept` names the former one in the journal's folder (None where there was none), `beside` the new one while it
    is written, `folders` those that had to be made. Only from `kept` on may the file differ from what it was.
    """

    path: str
    kept: str | None
    beside: str
    folders: list[str] = field(default_factory=list)
    state: State = "begun"


class Journal:
    """What was replaced, in order; kept in a folder with the former files."""

    def __init__(self, keep_in: Path) -> None:
        self.folder = keep_in
        self.entries: list[Replaced] = []

    @classmethod
    def read(cls, keep_in: Path) -> Journal:
        """Read it. Raises NotFoundError, DamagedError."""
        journal = cls(keep_in)
        try:
            value = json.loads((keep_in / JOURNAL).read_bytes())
            if value["schema"] != _SCHEMA:
                raise ValueError(f"it has schema {value['schema']!r}, and this Holdfast reads schema {_SCHEMA}")
            journal.entries = [Replaced(**entry) for entry in value["replaced"]]
        except FileNotFoundError as error:
            raise NotFoundError(f"there is nothing in {keep_in} that a restore has replaced") from error
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedError(
                f"{keep_in / JOURNAL} can't be read, so what was replaced is not known", reason=str(error)
            ) from error
        return journal

    @classmethod
    def open(cls, keep_in: Path) -> Journal:
        """Read it, or begin one."""
        return cls.read(keep_in) if (keep_in / JOURNAL).exists() else cls(keep_in)

    def add(self, entry: Replaced) -> int:
        """Note one more, for good; return its number."""
        self.entries.append(entry)
        self._write()
        return len(self.entries) - 1

    def become(self, number: int, state: State) -> None:
        """Note how far one has come, for good."""
        self.entries[number] = replace(self.entries[number], state=state)
        self._write()

    def _write(self) -> None:
        value = {"schema": _SCHEMA, "replaced": [asdict(entry) for entry in self.entries]}
        half = self.folder / f"{JOURNAL}.half"
        with half.open("w", encoding="ascii") as file:
            json.dump(value, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        half.replace(self.folder / JOURNAL)
        sync_path(self.folder)
