"""Pictures of what was measured: the same figures give the same file, and each is readable on a light page and on a dark one."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.contenders.contender import BACKUPS, WORKS
from benchmarks.figures import Size
from benchmarks.measure import MB
from benchmarks.results import Results

WALL, STORED, MEMORY, DAYS = "performance-wall.svg", "performance-stored.svg", "performance-memory.svg", "performance-days.svg"
TITLES = {
    WALL: "Wall time of each work",
    STORED: "Bytes that each backup added",
    MEMORY: "Peak memory, without PostgreSQL's programs, by size of the database",
    DAYS: "What lies there, day by day",
}
_HOLDFAST, _ENGINE, _OTHERS = "#0b6e99", "#5fb3d4", "#9a9a9a"
_SIZE_COLOURS = ("#b8d8e6", "#5fb3d4", "#0b6e99", "#06364c")
_ONE_GB = 1000
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "holdfast",
    "font.family": "sans-serif",
    "font.size": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",  # and not clear, for a dark page would swallow the words
    "axes.axisbelow": True,
}


def draw(results: Results, folder: Path) -> list[str]:
    """Draw what can be drawn of these results, and tell the names of the files."""
    from matplotlib import rc_context

    folder.mkdir(parents=True, exist_ok=True)
    sizes, lived = _sizes(results, "compare"), results.get("days")
    drawn: dict[str, Any] = {}
    with rc_context(_STYLE):
        if sizes:
            drawn[WALL] = _wall(_shown(sizes))
            drawn[STORED] = _stored(_shown(sizes))
            drawn[MEMORY] = _memory(sizes + _sizes(results, "large"))
        if lived is not None and lived.section.figures.get("days"):
            drawn[DAYS] = _days(lived.section.figures["titles"], lived.section.figures["days"])
        for name, figure in drawn.items():
            figure.savefig(folder / name, metadata={"Date": None, "Creator": None})
    return list(drawn)


def _sizes(results: Results, name: str) -> list[Size]:
    found = results.get(name)
    return [Size.from_json(one) for one in found.section.figures["sizes"]] if found else []


def _shown(sizes: Sequence[Size]) -> Size:
    """1 GB, or else the largest below; where there is none, the smallest."""
    return max((size for size in sizes if size.megabytes <= _ONE_GB), key=lambda size: size.megabytes, default=sizes[0])


def _wall(size: Size) -> Any:
    bars = {work: _medians(size, work, lambda run: run.cost.wall_seconds) for work in WORKS}
    return _panels(bars, "seconds, {:,.1f}", f"{TITLES[WALL]}, {size.name}: {_rounds(size)}")


def _stored(size: Size) -> Any:
    bars = {
        work: {who: values for who, values in _medians(size, work, lambda run: run.added_bytes / MB).items() if max(values)}
        for work in BACKUPS
    }
    return _panels(bars, "MB, {:,.1f}", f"{TITLES[STORED]}, {size.name}: {_rounds(size)}")


def _rounds(size: Size) -> str:
    return "one round" if size.rounds == 1 else f"median of {size.rounds} rounds, lines from least to most"


def _medians(size: Size, work: str, figure: Any) -> dict[str, list[float]]:
    found = {who.title: [figure(run) for run in size.of(who.key, work).values()] for who in size.contenders}
    return {title: values for title, values in found.items() if values}


def _panels(bars: dict[str, dict[str, list[float]]], unit: str, title: str) -> Any:
    from matplotlib.figure import Figure

    rows = (len(bars) + 1) // 2
    most = max((len(panel) for panel in bars.values()), default=1)
    figure = Figure(figsize=(10, rows * (0.6 + 0.21 * most)), layout="constrained")
    figure.suptitle(title, fontsize=10)
    for number, (work, panel) in enumerate(bars.items()):
        axes = figure.add_subplot(rows, 2, number + 1)
        axes.set_title(WORKS[work], fontsize=9, loc="left")
        names = list(panel)[::-1]
        middles = [statistics.median(panel[name]) for name in names]
        spreads = [[middle - min(panel[name]) for name, middle in zip(names, middles, strict=True)]]
        spreads.append([max(panel[name]) - middle for name, middle in zip(names, middles, strict=True)])
        drawn = axes.barh(names, middles, color=[_colour(name) for name in names], xerr=spreads, error_kw={"lw": 0.8})
        axes.bar_label(drawn, fmt=unit.partition(", ")[2], padding=4, fontsize=8)
        axes.set_xlabel(unit.partition(",")[0])
        axes.margins(x=0.15)
    return figure


def _memory(sizes: Sequence[Size]) -> Any:
    from matplotlib.figure import Figure

    names = [who.title for who in sizes[0].contenders if any(size.peak_bytes(who.key) > 20 * MB for size in sizes)][::-1]
    keys = {who.title: who.key for who in sizes[0].contenders}
    figure = Figure(figsize=(10, 0.9 + 0.2 * len(names) * len(sizes)), layout="constrained")
    axes = figure.add_subplot()
    height = 0.8 / len(sizes)
    for number, size in enumerate(sizes):
        places = [place + 0.4 - height * (number + 0.5) for place in range(len(names))]
        peaks = [size.peak_bytes(keys[name]) / MB for name in names]
        bars = axes.barh(places, peaks, height=height, color=_SIZE_COLOURS[number % 4], label=size.name)
        axes.bar_label(bars, fmt="{:,.0f}", padding=3, fontsize=8)
    axes.set_yticks(range(len(names)), names)
    axes.axvline(250, color="#c0392b", lw=0.8, ls="--")
    axes.set_xlabel("MB, the most of all works and rounds; the line is the aim for Holdfast")
    figure.legend(frameon=False, loc="outside right upper")
    figure.suptitle(TITLES[MEMORY], fontsize=10)
    return figure


def _days(titles: dict[str, str], runs: Sequence[dict[str, Any]]) -> Any:
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    axes = figure.add_subplot()
    styles = iter((("-", "o"), ("--", "s"), (":", "^"), ("-.", "v"), ("-", "D"), ("--", "x")))
    for key, title in titles.items():
        mine = [run for run in runs if run["contender"] == key]
        if mine:
            line, mark = next(styles)
            days, held = [run["round"] for run in mine], [run["stored_bytes"] / MB for run in mine]
            axes.plot(days, held, line, marker=mark, ms=3, lw=1.4, color=_colour(title), label=f"{title}: {held[-1]:,.0f} MB")
    axes.set_xlabel("day")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("MB stored")
    axes.set_ylim(bottom=0)
    axes.grid(color="#e5e5e5", lw=0.6)
    axes.legend(frameon=False)
    figure.suptitle(TITLES[DAYS], fontsize=10)
    return figure


def _colour(title: str) -> str:
    return _HOLDFAST if title.startswith("holdfast") else _ENGINE if title.startswith("engine") else _OTHERS
