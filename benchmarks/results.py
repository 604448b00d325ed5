"""What was measured, in one file: sections by name, each with the machine, time and versions that it was measured with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from benchmarks.machine import described
from benchmarks.section import Section

SECTIONS = {
    "compare": "each contender at each work, in rounds",
    "large": "Holdfast at 4,000 MB, by itself because it takes long",
    "files": "beside pgBackRest, on a server that it knows",
    "days": "30 daily backups",
    "readers": "ways to read the source, and how many readers",
    "prefect": "Prefect's share of a backup",
    "scale": "many backups, jobs and chunks",
}


@dataclass(frozen=True)
class Measured:
    """A section, and where and when it was measured; `complete` is false while it is being measured."""

    ran: dict[str, Any]
    section: Section
    complete: bool = True

    def as_markdown(self, *, level: int = 3) -> str:
        """The section with a line of where it comes from under its title."""
        title, _, rest = self.section.as_markdown(level=level).partition("\n")
        unfinished = "" if self.complete else " Not finished."
        return f"{title}\n\n{described(self.ran)}{unfinished}\n{rest}"


class Results:
    """Sections by name. Measuring one leaves the others as they are."""

    def __init__(self, sections: dict[str, Measured]) -> None:
        self._sections = sections

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read a file; nothing where there is none."""
        document = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"sections": {}}
        return cls(
            {
                name: Measured(one["ran"], Section.from_json(one["section"]), one["complete"])
                for name, one in document["sections"].items()
            }
        )

    def write(self, file: Path) -> None:
        """Write all sections."""
        document = {
            "sections": {name: {"ran": one.ran, "complete": one.complete, "section": one.section.as_json()} for name, one in self}
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def put(self, name: str, measured: Measured) -> None:
        """Put a section in the place of a former one of its name."""
        self._sections[name] = measured

    def get(self, name: str) -> Measured | None:
        """One section, where it was measured."""
        return self._sections.get(name)

    def __iter__(self) -> Iterator[tuple[str, Measured]]:
        """In the order in which they are told, whichever was measured first."""
        known = [name for name in SECTIONS if name in self._sections]
        return iter([(name, self._sections[name]) for name in [*known, *sorted(self._sections.keys() - set(known))]])
