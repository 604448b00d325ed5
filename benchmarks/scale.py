"""What grows with the years: thousands of backups in a repository, a million rows in the catalog, a million chunks, many files.

Lists and plans are timed as whole commands, the first with nothing remembered, then with what the first has left in the home.
"""

from __future__ import annotations

import json
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import many_backups, many_chunks, many_jobs
from benchmarks.compare import tell
from benchmarks.figures import spread
from benchmarks.measure import MB, Cost, measured
from benchmarks.section import Section, Table, Target
from benchmarks.stage import HOLDFAST, Stage, open_stage
from holdfast.repository import UserKey, names
from holdfast.storage import LocalStorage

BACKUPS, JOBS, CHUNKS, FILES = 10_000, 1_000_000, (250_000, 500_000, 1_000_000), 100_000
ROUNDS = 5
LIST_SECONDS, PLAN_SECONDS, ASKED_MS, MEMORY_MB = 1.0, 5.0, 200.0, 1000.0
GROWTH = 2.4
"""So many times as much time as half as many chunks may be taken: 2 is linear, the rest is what a machine does."""
_COMMANDS = {
    "holdfast list": ["list"],
    "holdfast repo list": ["repo", "list"],
    "holdfast cleanup --dry-run --yes": ["cleanup", "--dry-run", "--yes"],
}


def section(
    folder: Path, *, backups: int = BACKUPS, jobs: int = JOBS, chunks: Sequence[int] = CHUNKS, files: int = FILES
) -> Section:
    """Measure all of it, one after the other."""
    whole = Section("Many backups, jobs and chunks")
    parts: list[Callable[[], Section]] = [
        lambda: _backups(folder, backups),
        lambda: _jobs(folder, jobs),
        lambda: _chunks(chunks),
        lambda: _files(folder, files),
    ]
    for measure in parts:
        found = measure()
        whole.tables += found.tables
        whole.targets += found.targets
        whole.notes += found.notes
        whole.figures |= found.figures
    return whole


def _backups(folder: Path, count: int) -> Section:
    """Time the commands that look at every backup."""
    tell(f"{count:,} backups: building")
    with open_stage(_made(folder / "backups")) as stage:
        stage.new_repository("many")
        key = UserKey.parse(stage.key_file.read_text().strip())
        stored_bytes = many_backups.build(stage.repository("many"), key, count)
        stage.server.create_database("source")
        stage.settle()
        for command in _COMMANDS.values():
            _run(stage, command)  # the catalog learns of all backups, and programs and files are read
        tell(f"{count:,} backups: first, with nothing remembered")
        first = {name: _first(stage, command) for name, command in _COMMANDS.items()}
        tell(f"{count:,} backups: then")
        again = {name: [_run(stage, command) for _ in range(ROUNDS)] for name, command in _COMMANDS.items()}
        _forget_cache(stage)
        plan_first = _plan(stage)
        plans = [_plan(stage) for _ in range(ROUNDS)]
    walls = {name: [cost.wall_seconds for cost in costs] for name, costs in again.items()}
    firsts = {name: cost.wall_seconds for name, cost in first.items()} | {_PLAN: plan_first["wall_seconds"]}
    walls[_PLAN] = [one["wall_seconds"] for one in plans]
    rows = [_row(name, first[name].wall_seconds, walls[name], [cost.cpu_seconds for cost in again[name]]) for name in _COMMANDS]
    rows.append(_row(_PLAN, plan_first["wall_seconds"], walls[_PLAN], [one["cpu_seconds"] for one in plans]))
    aims = {name: LIST_SECONDS if "list" in name else PLAN_SECONDS for name in walls}
    return Section(
        "",
        [Table(f"{count:,} backups in a folder", ["", "first, nothing remembered, s", "then, s", "then, CPU s"], rows)],
        [_target(f"{count:,} backups: {name}, as it is every day", walls[name], "s", aims[name]) for name in walls]
        + [
            _target(f"{count:,} backups: {name}, with nothing remembered", [took], "s", aims[name])
            for name, took in firsts.items()
        ],
        [
            f"{count:,} backups of four types, one each 37 minutes, nine entries each; {stored_bytes / MB:,.0f} MB; "
            f"of {plans[-1]['backups']:,} the plan lets {plans[-1]['doomed']:,} go. Whole commands as a user types them, "
            f"median of {ROUNDS} with the least and the most; the first runs with an empty cache. The plan alone is the "
            "engine's part of the clean-up, without the start of its process."
        ],
        {
            "backups": {"count": count, "first": {name: asdict(cost) for name, cost in first.items()}, "plan": plans}
            | {"again": {name: [asdict(cost) for cost in costs] for name, costs in again.items()}, "plan_first": plan_first}
        },
    )


_PLAN = "the clean-up's plan alone"


def _row(name: str, first: float, walls: Sequence[float], cpu: Sequence[float]) -> list[str]:
    return [name, f"{first:.2f}", spread(walls, _seconds), spread(cpu, _seconds)]


def _run(stage: Stage, command: Sequence[str]) -> Cost:
    return measured([HOLDFAST, *command], environment=stage.environment("many"), folder=stage.folder)


def _first(stage: Stage, command: Sequence[str]) -> Cost:
    _forget_cache(stage)
    return _run(stage, command)


def _forget_cache(stage: Stage) -> None:
    shutil.rmtree(stage.home / "cache", ignore_errors=True)


def _plan(stage: Stage) -> dict[str, Any]:
    said = stage.said([sys.executable, "-m", "benchmarks.many_backups"], {**stage.environment("many"), "PYTHONPATH": str(_ROOT)})
    found: dict[str, Any] = json.loads(said)
    return found


_ROOT = Path(__file__).parent.parent


def _jobs(folder: Path, rows: int) -> Section:
    """Time what the catalog is asked."""
    tell(f"{rows:,} job rows: building and asking")
    found = many_jobs.measure(_made(folder / "jobs"), rows)
    table = Table(
        f"{rows:,} backups in the catalog, a third as many restores, and as much maintenance",
        ["", "ms"],
        [[name, spread([one * 1e3 for one in seconds], _milliseconds)] for name, seconds in found.items()],
    )
    targets = [
        _target(f"{rows:,} job rows: {name}", [one * 1e3 for one in taken], "ms", ASKED_MS) for name, taken in found.items()
    ]
    note = f"Warm, median of {many_jobs.ROUNDS} with the least and the most; the embedded server with its settings."
    return Section("", [table], targets, [note], {"jobs": {"rows": rows, "seconds": found}})


def _chunks(counts: Sequence[int]) -> Section:
    """Work on repositories that seem to hold so many chunks, each work in a process of its own."""
    found = []
    for what, title in many_chunks.WORKS.items():
        for count in counts:
            tell(f"{count:,} chunks: {title}")
            command = [sys.executable, "-m", "benchmarks.many_chunks", what, str(count)]
            said = subprocess.run(command, check=True, capture_output=True, text=True, cwd=_ROOT).stdout
            found.append(json.loads(said))
    rows = [
        [
            many_chunks.WORKS[one["work"]],
            f"{one['chunks']:,}",
            f"{one['peak_bytes'] / MB:,.0f}",
            f"{(one['peak_bytes'] - one['peak_before_bytes']) / one['chunks']:,.0f}",
            f"{one['wall_seconds']:.1f}",
            f"{one['wall_seconds'] * 1e6 / one['chunks']:.1f}",
        ]
        for one in found
    ]
    header = ["", "chunks", "peak memory, MB", "of that for each chunk, bytes", "s", "µs for each chunk"]
    note = (
        "Each work in a fresh process; the memory is the process's whole resident set. Sizes are simulated: manifest and chunk "
        "lists are real, the listing of the data chunks is made up, and a tenth of them is of no backup: the prune deletes it."
    )
    return Section("", [Table("Chunk stores", header, rows)], list(_chunk_targets(found, counts)), [note], {"chunks": found})


def _chunk_targets(found: Sequence[dict[str, Any]], counts: Sequence[int]) -> list[Target]:
    targets = []
    for what, title in many_chunks.WORKS.items():
        own = {one["chunks"]: one for one in found if one["work"] == what}
        most, half = own[max(counts)], own[sorted(counts)[-2]]
        targets.append(Target(f"{max(counts):,} chunks: {title}, peak memory", most["peak_bytes"] / MB, "MB", MEMORY_MB))
        for name, field in (("memory", "peak_bytes"), ("CPU time", "cpu_seconds")):
            growth = most[field] / half[field]
            targets.append(Target(f"{max(counts):,} chunks: {title}, {name} to that of half as many", growth, "×", GROWTH))
    return targets


def _files(folder: Path, count: int) -> Section:
    """List a folder with so many small objects."""
    tell(f"{count:,} files: building and listing")
    place = _made(folder / "files")
    rng = random.Random(count)
    for _ in range(count):
        path = place / names.chunk(rng.randbytes(32))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"tiny")
    storage = LocalStorage(place)
    walls = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        assert sum(1 for _ in storage.list(names.CHUNKS)) == count
        walls.append(time.perf_counter() - began)
    shutil.rmtree(place)
    table = Table("Listing a folder", ["", "s"], [[f"{count:,} small objects", spread(walls[1:], _seconds)]])
    return Section("", [table], [], [], {"files": {"count": count, "wall_seconds": walls[1:]}})


def _target(text: str, values: Sequence[float], unit: str, aim: float) -> Target:
    low_high = f"{min(values):,.2f}–{max(values):,.2f}"
    return Target(text, statistics.median(values), unit, aim, low_high)


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o755)
    return folder


def _seconds(value: float) -> str:
    return f"{value:.2f}"


def _milliseconds(value: float) -> str:
    return f"{value:,.1f}"
