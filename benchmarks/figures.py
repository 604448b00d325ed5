"""Runs as figures: medians with their spread, ratios taken pair by pair within a round, and the aims they are held against."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from benchmarks.measure import Cost

MIB = 1 << 20


@dataclass(frozen=True)
class Run:
    """One step in one round. `background_cpu_seconds`: what Prefect's server and the catalog spent meanwhile."""

    key: str
    title: str
    round: int
    cost: Cost
    stored_bytes: int
    background_cpu_seconds: float


@dataclass(frozen=True)
class Ratio:
    """What one step's wall time is divided by, and what is aimed at; `plus` is added to the divisor."""

    title: str
    of: str
    by: str
    aim: float | None
    plus: str | None = None


RATIOS = (
    Ratio("C / A: backup, zstd, to the source's own speed", "holdfast-zstd", "dump", 2.0),
    Ratio("C / B: backup, zstd, to what people do", "holdfast-zstd", "classic", 0.4),
    Ratio("D / B: backup, gzip 6, to what people do", "holdfast-gzip", "classic", 1.0),
    Ratio("E / A: second backup, unchanged", "holdfast-again", "dump", 1.3),
    Ratio("G / F: restore", "holdfast-restore", "pg_restore", 1.15),
    Ratio("G / (F +): restore, both with ANALYZE", "holdfast-restore", "pg_restore", None, plus="analyze"),
    Ratio("C′ / A: the engine alone", "engine", "dump", 2.0),
    Ratio("C′ / B: the engine alone", "engine", "classic", 0.4),
    Ratio("E′ / A: the engine alone, unchanged", "engine-again", "dump", 1.3),
    Ratio("G′ / F: the engine alone", "engine-restore", "pg_restore", 1.15),
    Ratio("G′ / (F +): the engine alone, both with ANALYZE", "engine-restore", "pg_restore", None, plus="analyze"),
)
MEMORY_AIM_BYTES = 300 * MIB


@dataclass
class Size:
    """All that was found at one size."""

    megabytes: int
    copy_bytes: int
    rows: int
    runs: list[Run] = field(default_factory=list)
    after_change: list[Run] = field(default_factory=list)

    def of(self, key: str) -> dict[int, Run]:
        """The runs of one step by round."""
        return {run.round: run for run in self.runs if run.key == key}

    def ratios(self, ratio: Ratio) -> list[float]:
        """The ratio in each round in which all of it ran."""
        of, by, plus = self.of(ratio.of), self.of(ratio.by), self.of(ratio.plus) if ratio.plus else {}
        rounds = of.keys() & by.keys() & (plus.keys() if ratio.plus else by.keys())
        added = {number: plus[number].cost.wall_seconds if ratio.plus else 0.0 for number in rounds}
        return [of[number].cost.wall_seconds / (by[number].cost.wall_seconds + added[number]) for number in sorted(rounds)]


def as_json(sizes: Sequence[Size]) -> dict[str, Any]:
    """All runs, and where they ran, for machines."""
    return {"machine": machine(), "sizes": [asdict(size) for size in sizes]}


def as_markdown(sizes: Sequence[Size]) -> str:
    """Tables for people."""
    about = machine()
    lines = [
        f"{about['when']}, Holdfast at {about['commit']}, {about['processors']} × {about['processor']}, "
        f"{about['memory_gib']} GiB, {about['system']}, Python {about['python']}. Median (least–most).",
        "",
    ]
    for size in sizes:
        lines += [*_size_lines(size), ""]
    return "\n".join(lines)


def _size_lines(size: Size) -> list[str]:
    copied = size.copy_bytes / MIB
    rounds = max((run.round for run in size.runs), default=0)
    lines = [f"### {copied:,.0f} MiB of COPY text, {size.rows:,} rows, {rounds} rounds", ""]
    lines += _row("", "wall s", "CPU s", "CPU beside s", "memory, all MiB", "memory, largest MiB", "stored MiB", "ratio")
    lines += _row("---", *["---:"] * 7)
    for key in dict.fromkeys(run.key for run in size.runs):
        lines += _step_row(list(size.of(key).values()), size.copy_bytes)
    for run in size.after_change:
        lines += _step_row([run], size.copy_bytes)
    lines += ["", *_row("wall time", "ratio", "aim", ""), *_row("---", "---:", "---:", "---")]
    for ratio in RATIOS:
        if found := size.ratios(ratio):
            aim = "" if ratio.aim is None else f"≤ {ratio.aim:g}"
            verdict = "" if ratio.aim is None else "met" if statistics.median(found) <= ratio.aim else "**not met**"
            lines += _row(ratio.title, _spread(found, lambda value: f"{value:.2f}"), aim, verdict)
    peaks = [run.cost.peak_tree_bytes for run in size.runs if run.key.startswith("holdfast-") and run.key != "holdfast-restore"]
    if peaks:
        verdict = "met" if max(peaks) <= MEMORY_AIM_BYTES else "**not met**"
        lines += _row("Peak memory of a backup, all its processes, MiB", f"{max(peaks) / MIB:.0f}", "≤ 300", verdict)
    return lines


def _step_row(runs: Sequence[Run], copy_bytes: int) -> list[str]:
    costs = [run.cost for run in runs]
    stored = statistics.median(run.stored_bytes for run in runs)
    return _row(
        runs[0].title,
        _spread([cost.wall_seconds for cost in costs], lambda value: f"{value:.2f}"),
        _spread([cost.cpu_seconds for cost in costs], lambda value: f"{value:.2f}"),
        _spread([run.background_cpu_seconds for run in runs], lambda value: f"{value:.2f}"),
        f"{max(cost.peak_tree_bytes for cost in costs) / MIB:.0f}",
        f"{max(cost.peak_process_bytes for cost in costs) / MIB:.0f}",
        f"{stored / MIB:,.1f}" if stored else "",
        f"{copy_bytes / stored:.1f}" if stored > copy_bytes / 50 else "",
    )


def _spread(values: Sequence[float], text: Callable[[float], str]) -> str:
    middle = text(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({text(min(values))}–{text(max(values))})"


def _row(*cells: str) -> list[str]:
    escaped = [cell.replace("|", "\\|") for cell in cells]
    return [f"| {' | '.join(escaped)} |"]


def machine() -> dict[str, Any]:
    """Where and when."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    return {
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit.stdout.strip() or "an unknown commit",
        "processor": _processor(),
        "processors": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / (1 << 30)),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
