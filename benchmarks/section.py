"""One part of the benchmark's answer: tables, targets and notes. Each module that measures something returns one.

Cells are text, made by the module that knows what they mean. A target keeps its figure, so that nobody decides by hand whether it
was met.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self


@dataclass(frozen=True)
class Table:
    """Rows of text under a header; the first columns, mostly one, are words, the others are figures."""

    title: str
    header: list[str]
    rows: list[list[str]]
    words: int = 1

    def as_markdown(self) -> str:
        """The table for people."""
        lines = [f"**{self.title}**", ""] if self.title else []
        lines += [_row(self.header), _row(["---"] * self.words + ["---:"] * (len(self.header) - self.words))]
        return "\n".join(lines + [_row(row) for row in self.rows])


@dataclass(frozen=True)
class Target:
    """A figure that is to be at most `aim`. `measured` is None where it could not be measured, which is not met either."""

    text: str
    measured: float | None
    unit: str
    aim: float
    spread: str = ""
    why_not_measured: str = ""

    @property
    def met(self) -> bool:
        """Whether the figure is what was aimed at, as it is, before it is rounded for people."""
        return self.measured is not None and self.measured <= self.aim

    def as_row(self) -> list[str]:
        """Text, measured, aim and verdict."""
        found = self.why_not_measured or "not measured" if self.measured is None else _figure(self.measured, self.unit)
        if self.spread:
            found += f" ({self.spread})"
        return [self.text, found, f"≤ {_aim(self.aim, self.unit)}", "met" if self.met else "**not met**"]


@dataclass
class Section:
    """What one module measured. `figures` is for machines and plots: whatever JSON can hold."""

    title: str
    tables: list[Table] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For a file; `met` is written too, for those who only read it."""
        return asdict(self) | {"targets": [asdict(target) | {"met": target.met} for target in self.targets]}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Read what `as_json` wrote."""
        targets = [Target(**{name: value for name, value in one.items() if name != "met"}) for one in document["targets"]]
        tables = [Table(**one) for one in document["tables"]]
        return cls(document["title"], tables, targets, list(document["notes"]), dict(document["figures"]))

    def as_markdown(self, *, level: int = 3) -> str:
        """Title, tables, targets and notes for people."""
        parts = [f"{'#' * level} {self.title}", self.tables_as_markdown()]
        if self.targets:
            parts.append(targets_table(self.targets).as_markdown())
        parts.append(self.notes_as_markdown())
        return "\n\n".join(part for part in parts if part) + "\n"

    def tables_as_markdown(self) -> str:
        """The tables alone."""
        return "\n\n".join(table.as_markdown() for table in self.tables)

    def notes_as_markdown(self) -> str:
        """The notes alone."""
        return "\n".join(f"- {note}" for note in self.notes)


def targets_table(targets: Sequence[Target]) -> Table:
    """Every target with its figure, its aim, and whether it was met."""
    return Table("", ["target", "measured", "aim", ""], [target.as_row() for target in targets])


def _figure(value: float, unit: str) -> str:
    if 0 < abs(value) < 0.1:
        return _with_unit(f"{value:.2g}", unit)
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return _with_unit(f"{value:,.{digits}f}", unit)


def _aim(value: float, unit: str) -> str:
    return _with_unit(f"{value:,g}" if value < 1e6 else f"{value:,.0f}", unit)


def _with_unit(text: str, unit: str) -> str:
    return f"{text} {unit}".rstrip()


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
