"""Runs as figures: medians with their spread, and a table a work. What could not run stands in the table, too."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from benchmarks.contenders.contender import WORKS
from benchmarks.measure import MB, Cost
from benchmarks.section import Table

_COLUMNS = ["wall s", "CPU s", "server's CPU s", "home's CPU s", "memory MB", "largest MB", "tools' MB", "added MB"]


@dataclass(frozen=True)
class Run:
    """One contender at one work in one round.

    `added_bytes` is what came to where it stores, `stored_bytes` what lay there afterwards; `server_cpu_seconds` is what
    PostgreSQL's server spent meanwhile, `home_cpu_seconds` what Prefect's server and the catalog of Holdfast's home did.
    """

    contender: str
    work: str
    round: int
    cost: Cost
    added_bytes: int
    stored_bytes: int
    server_cpu_seconds: float
    home_cpu_seconds: float


@dataclass(frozen=True)
class Who:
    """A contender, as the tables name it, and why it could not run, where it could not."""

    key: str
    title: str
    how: str
    absent: str = ""
    works: list[str] = field(default_factory=list)


@dataclass
class Size:
    """All that was found at one size. `failures` are told, and are no figures."""

    megabytes: int
    copy_bytes: int
    database_bytes: int
    rows: int
    rounds: int
    contenders: list[Who]
    runs: list[Run] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def of(self, contender: str, work: str) -> dict[int, Run]:
        """The runs of one contender at one work, by round."""
        return {run.round: run for run in self.runs if run.contender == contender and run.work == work}

    def peak_bytes(self, contender: str) -> int:
        """The most memory that it took at any work in any round, without PostgreSQL's programs."""
        return max((run.cost.own_bytes for run in self.runs if run.contender == contender), default=0)

    def tables(self) -> list[Table]:
        """A table a work, a row a contender."""
        return [table for work in WORKS if (table := self._table(work)).rows]

    @property
    def name(self) -> str:
        """How it is called in tables."""
        return f"{self.megabytes:,} MB"

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Read what `dataclasses.asdict` made."""
        runs = [Run(**{**run, "cost": Cost(**run["cost"])}) for run in document["runs"]]
        contenders = [Who(**who) for who in document["contenders"]]
        return cls(**{**document, "runs": runs, "contenders": contenders})

    def _table(self, work: str) -> Table:
        rows = []
        for who in self.contenders:
            if who.absent:
                rows.append([who.title, "absent", *[""] * (len(_COLUMNS) - 1)])
            elif work in who.works:
                rows.append([who.title, *_cells(list(self.of(who.key, work).values()))])
        return Table(f"{self.name}: {WORKS[work]}", ["", *_COLUMNS], rows)


def memory_by_size(sizes: Sequence[Size]) -> list[Table]:
    """How peak memory moves with the size of the database: one table, where there are several sizes."""
    if len(sizes) < 2:
        return []
    rows = [
        [who.title, *(megabytes(size.peak_bytes(who.key)) for size in sizes)] for who in sizes[0].contenders if not who.absent
    ]
    return [Table("Peak memory MB of all works, without PostgreSQL's programs", ["", *(size.name for size in sizes)], rows)]


def _cells(runs: Sequence[Run]) -> list[str]:
    if not runs:
        return ["failed", *[""] * (len(_COLUMNS) - 1)]
    costs = [run.cost for run in runs]
    added = [run.added_bytes for run in runs]
    return [
        spread([cost.wall_seconds for cost in costs], seconds),
        spread([cost.cpu_seconds for cost in costs], seconds),
        seconds(statistics.median(run.server_cpu_seconds for run in runs)),
        seconds(statistics.median(run.home_cpu_seconds for run in runs)),
        spread([cost.own_bytes for cost in costs], megabytes),
        megabytes(max(cost.process_bytes for cost in costs)),
        megabytes(max(cost.postgres_bytes for cost in costs)),
        spread(added, lambda value: f"{value / MB:,.1f}") if any(added) else "",
    ]


def seconds(value: float) -> str:
    """Seconds for a table."""
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"


def megabytes(value: float) -> str:
    """Bytes as MB for a table."""
    return f"{value / MB:,.0f}"


def spread(values: Sequence[float], text: Callable[[float], str]) -> str:
    """The median, with the least and the most where there are several."""
    middle = text(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({text(min(values))}–{text(max(values))})"
