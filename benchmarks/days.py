"""Thirty days of backups, one a day, none deleted: what lies there in the end, and how long it all took.

Each day 1 % of the database is appended and 0.2 % of its rows are updated, seeded, the same for every contender.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.compare import run_step, tell
from benchmarks.contenders import Contender, contenders
from benchmarks.contenders.contender import FIRST, UPDATED, turned
from benchmarks.figures import Run, seconds
from benchmarks.measure import MB, FailedError
from benchmarks.section import Section, Table
from benchmarks.stage import Stage, open_stage
from examples.content_pipeline.generate import SEED

MEGABYTES, DAYS = 100, 30
_APPENDED, _UPDATED = 1.0, 0.2


def section(
    folder: Path,
    megabytes: int = MEGABYTES,
    days: int = DAYS,
    *,
    only: frozenset[str] = frozenset(),
    save: Callable[[Section], None] = lambda _: None,
) -> Section:
    """Live through the days. `save` gets what there is after each tenth."""
    with open_stage(folder) as stage:
        rivals = [one for one in contenders(stage) if one.absent or (UPDATED in one.steps and one.key != "dump")]
        rivals = [one for one in rivals if not only or one.key in only]
        runs: list[Run] = []
        failures: dict[str, str] = {}
        tell(f"{megabytes} MB: building")
        facts = stage.build_source(megabytes)
        for day in range(1, days + 1):
            tell(f"day {day}")
            if day > 1:
                stage.change_source(percent_appended=_APPENDED, percent_rows_updated=_UPDATED, seed=SEED + day)
            runs += _day(stage, rivals, day, failures)
            if day % 10 == 0:
                save(_as_section(rivals, runs, failures, megabytes, facts.total_copy_bytes))
    return _as_section(rivals, runs, failures, megabytes, facts.total_copy_bytes)


def _day(stage: Stage, rivals: Sequence[Contender], day: int, failures: dict[str, str]) -> list[Run]:
    """One backup each. Who has failed once does not go on: what it stores would no longer be comparable."""
    done = []
    for one in turned([one for one in rivals if not one.absent and one.key not in failures], day):
        work = FIRST if day == 1 else UPDATED
        try:
            done.append(run_step(stage, one, work, day, one.steps[work]))
        except FailedError as error:
            failures[one.key] = f"{one.title}, day {day}: {str(error).replace(str(stage.folder), '…')[:600]}"
    return done


def _as_section(
    rivals: Sequence[Contender], runs: Sequence[Run], failures: dict[str, str], megabytes: int, copy_bytes: int
) -> Section:
    last = max(run.round for run in runs)
    rows = [_row(one, [run for run in runs if run.contender == one.key]) for one in rivals]
    header = ["", "first day MB", "a later day MB", f"after {last} days MB", "all days, wall s", "all days, CPU s"]
    title = f"{megabytes:,} MB ({copy_bytes / MB:,.0f} MB of COPY text on the first day), {last} days, one backup a day"
    notes = [f"each day {_APPENDED:g} % is appended and {_UPDATED:g} % of the rows are updated; nothing is deleted"]
    notes += [f"{one.title}: {one.absent}" for one in rivals if one.absent]
    notes += [f"failed: {failure}" for failure in failures.values()]
    figures = {"titles": {one.key: one.title for one in rivals}, "days": [asdict(run) for run in runs]}
    return Section(f"{last} daily backups", [Table(title, header, rows)], [], notes, figures)


def _row(one: Contender, runs: Sequence[Run]) -> list[str]:
    if one.absent or not runs:
        return [one.title, "absent" if one.absent else "failed", "", "", "", ""]
    later = [run.added_bytes for run in runs if run.work != FIRST]
    return [
        one.title,
        f"{runs[0].added_bytes / MB:,.1f}",
        f"{statistics.median(later) / MB:,.1f}" if later else "",
        f"{runs[-1].stored_bytes / MB:,.1f}",
        seconds(sum(run.cost.wall_seconds for run in runs)),
        seconds(sum(run.cost.cpu_seconds for run in runs)),
    ]
