"""What is aimed at, as issue 8 has it, held against the whole command and against the engine alone.

A ratio is taken within a round, then the median of them, so that what slows a whole round down does not count.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.contenders.contender import APPENDED, CHECK, FIRST, RESTORE, UNCHANGED
from benchmarks.figures import Run, Size, spread
from benchmarks.measure import MB
from benchmarks.section import Target

MEMORY_AIM_MB = 250
_COMMAND, _ENGINE = "holdfast", "engine"
_NAMES = {
    "holdfast": "command",
    "holdfast-gzip": "command",
    "holdfast-unproven": "command, and without ANALYZE, as pg_restore",
    "engine": "engine",
    "engine-gzip": "engine",
    "engine-unproven": "engine",
    "engine-bare": "engine, and without ANALYZE, as pg_restore",
}


def _wall(run: Run) -> float:
    return run.cost.wall_seconds


def _added(run: Run) -> float:
    return run.added_bytes


@dataclass(frozen=True)
class Ratio:
    """One figure of each of `of`, divided by that of `by`; where `by` is empty, by its own at another work."""

    text: str
    of: Sequence[str]
    work: str
    by: str
    by_work: str
    aim: float
    figure: Callable[[Run], float] = _wall


_BOTH, _BOTH_GZIP = (_COMMAND, _ENGINE), ("holdfast-gzip", "engine-gzip")
_UNPROVEN = ("holdfast-unproven", "engine-unproven", "engine-bare")
RATIOS = (
    Ratio("first backup, zstd : pg_dump -Fc -Z0 > /dev/null", _BOTH, FIRST, "dump", FIRST, 1.5),
    Ratio("first backup, zstd : restic", _BOTH, FIRST, "restic", FIRST, 0.5),
    Ratio("first backup, zstd : borg", _BOTH, FIRST, "borg", FIRST, 0.7),
    Ratio("first backup, gzip 6 : pg_dump -Fc -Z6, openssl", _BOTH_GZIP, FIRST, "classic", FIRST, 0.7),
    Ratio("unchanged backup : pg_dump -Fc -Z0 > /dev/null", _BOTH, UNCHANGED, "dump", UNCHANGED, 1.1),
    Ratio("unchanged backup, bytes : its first", _BOTH, UNCHANGED, "", FIRST, 0.01, _added),
    Ratio("first backup, bytes : restic's", _BOTH, FIRST, "restic", FIRST, 1.0, _added),
    Ratio("after 1 % was appended, bytes : restic's", _BOTH, APPENDED, "restic", APPENDED, 1.0, _added),
    Ratio("read check : restic check --read-data", _BOTH, CHECK, "restic", CHECK, 1.2),
    Ratio("restore, proven : pg_restore -j2", _BOTH, RESTORE, "pg_restore", RESTORE, 1.1),
    Ratio(
        "restore without the proof : pg_restore -j2",
        ("holdfast-unproven", "engine-unproven", "engine-bare"),
        RESTORE,
        "pg_restore",
        RESTORE,
        1.0,
    ),
)


def targets(size: Size) -> list[Target]:
    """Every target at one size whose contenders were asked for."""
    asked_for = {who.key for who in size.contenders}
    found = [_ratio(size, ratio, one) for ratio in RATIOS for one in ratio.of if {one, ratio.by or one} <= asked_for]
    # Of pages that others on the machine share, the sum of all processes has a part, the largest process alone all.
    return found + [_memory(size, prefix) for prefix in (_COMMAND, _ENGINE)]


def ratios(size: Size, ratio: Ratio, one: str) -> list[float]:
    """The ratio in each round in which both ran."""
    of, by = size.of(one, ratio.work), size.of(ratio.by or one, ratio.by_work)
    return [ratio.figure(of[number]) / ratio.figure(by[number]) for number in sorted(of.keys() & by.keys())]


def _ratio(size: Size, ratio: Ratio, one: str) -> Target:
    text, found = f"{size.name} · {ratio.text} ({_NAMES[one]})", ratios(size, ratio, one)
    if not found:
        return Target(text, None, "×", ratio.aim, why_not_measured=_why(size, one, ratio.by or one))
    shown = spread(found, lambda value: f"{value:.2f}").partition(" (")[2].rstrip(")")
    return Target(text, statistics.median(found), "×", ratio.aim, shown)


def _memory(size: Size, prefix: str) -> Target:
    runs = [run for run in size.runs if run.contender.startswith(prefix)]
    peaks = [max(run.cost.own_bytes, run.cost.process_bytes) / MB for run in runs]
    text = f"{size.name} · peak memory of all its works, without PostgreSQL's programs ({_NAMES[prefix]})"
    return Target(text, max(peaks, default=None), "MB", MEMORY_AIM_MB)


def _why(size: Size, *keys: str) -> str:
    absent = [who.key for who in size.contenders if who.key in keys and who.absent]
    return f"{absent[0]} is absent" if absent else "a run failed"
