"""The same work for every contender on the same database, in interleaved rounds: backups, read check, restore.

Each round begins with the database as it was built. A work is done by all who can, one after the other, before the next work
begins; who is first turns from round to round.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from benchmarks.contenders import Contender, contenders
from benchmarks.contenders.contender import APPENDED, FIRST, RESTORE, UPDATED, WORKS, Step, turned
from benchmarks.figures import Run, Size, Who, memory_by_size
from benchmarks.measure import FailedError, cpu_of_home, cpu_of_server, measured
from benchmarks.section import Section, Table
from benchmarks.stage import Stage, open_stage
from benchmarks.targets import targets

DEFAULT_SIZES = ((100, 3), (1000, 3))
"""MB that the database takes on disk, and rounds."""
LARGE = frozenset({"dump", "holdfast", "holdfast-unproven", "engine"})
"""Who is measured where a database is large, unless others are asked for: what is looked for there is whether memory grows."""
TITLE = "The same work, side by side"


def section(
    folder: Path,
    sizes: Sequence[tuple[int, int]] = DEFAULT_SIZES,
    *,
    title: str = TITLE,
    only: frozenset[str] = frozenset(),
    save: Callable[[Section], None] = lambda _: None,
    make: Callable[[Path], Stage] = Stage,
) -> Section:
    """Measure at each size (MB on disk, rounds). `save` gets what there is after every round; `make` makes the stage."""
    found: list[Size] = []
    with open_stage(folder, make) as stage:
        rivals = [one for one in contenders(stage) if not only or one.key in only]
        for megabytes, rounds in sizes:
            found.append(_built(stage, megabytes, rounds, rivals))
            _warm_up(stage, found[-1], rivals, everything=len(found) == 1)
            for number in range(1, rounds + 1):
                _round(stage, found[-1], rivals, number)
                save(as_section(found, title))
    return as_section(found, title)


def as_section(sizes: Sequence[Size], title: str = TITLE) -> Section:
    """Tables, targets and notes of what was found."""
    result = Section(title, [_databases(sizes), *_contenders(sizes)], figures={"sizes": [asdict(size) for size in sizes]})
    for size in sizes:
        result.tables += size.tables()
        result.targets += targets(size)
        result.notes += [f"failed at {size.name}: {failure}" for failure in size.failures]
    result.tables += memory_by_size(sizes)
    result.notes += [f"{who.title}: {who.absent}" for who in (sizes[0].contenders if sizes else []) if who.absent]
    if any(run.cost.memory_by != "pss" for size in sizes for run in size.runs):
        result.notes.append(
            "memory is resident memory, in which shared pages count once in each process: this system tells no better"
        )
    return result


def run_step(stage: Stage, contender: Contender, work: str, number: int, step: Callable[[], Step]) -> Run:
    """Measure one step. Raises FailedError."""
    before = contender.stored()
    try:
        made = step()
        made.before()
    except (RuntimeError, subprocess.CalledProcessError) as error:
        raise FailedError(str(error)) from error
    before = 0 if work == FIRST else before
    stage.settle()
    server, home = cpu_of_server(stage.server_pid()), cpu_of_home(stage.home)
    with _tidied(made):
        cost = measured(made.command, environment=made.environment, folder=stage.folder, stdout=made.stdout)
        server, home = cpu_of_server(stage.server_pid()) - server, cpu_of_home(stage.home) - home
    stored = contender.stored()
    tell(f"  round {number}: {cost.wall_seconds:8.2f} s  {cost.own_bytes / 1e6:5.0f} MB  {WORKS[work]}: {contender.title}")
    return Run(contender.key, work, number, cost, stored - before, stored, server, home)


@contextmanager
def _tidied(made: Step) -> Iterator[None]:
    """Tidy up after a step. Raises FailedError where that fails, unless something worse is on its way."""
    try:
        yield
    except BaseException:
        with suppress(RuntimeError, subprocess.CalledProcessError):
            made.after()
        raise
    try:
        made.after()
    except (RuntimeError, subprocess.CalledProcessError) as error:
        raise FailedError(str(error)) from error


def tell(text: str) -> None:
    """Say how far it is."""
    print(text, file=sys.stderr, flush=True)


def _built(stage: Stage, megabytes: int, rounds: int, rivals: Sequence[Contender]) -> Size:
    tell(f"{megabytes} MB: building")
    facts = stage.build_source(megabytes)
    held = stage.source_bytes()
    stage.keep_pristine()
    who = [Who(one.key, one.title, one.how, one.absent, list(one.steps)) for one in rivals]
    return Size(megabytes, facts.total_copy_bytes, held, facts.total_rows, rounds, who)


def _warm_up(stage: Stage, size: Size, rivals: Sequence[Contender], *, everything: bool) -> None:
    """Have the database in the system's cache; and, once, the programs, the Prefect server and the catalog, too."""
    stage.pristine_source()
    for one in rivals:
        if not one.absent and FIRST in one.steps and (everything or one.key == "dump"):
            _tried(stage, size, one, FIRST, 0)
    size.runs.clear()


def _round(stage: Stage, size: Size, rivals: Sequence[Contender], number: int) -> None:
    """Do every work. Who fails is out for the rest of the round: what comes after would not be the work it is called."""
    stage.pristine_source()
    out: set[str] = set()
    for work in WORKS:
        if work == APPENDED:
            stage.change_source(percent_appended=1.0)
        elif work == UPDATED:
            stage.change_source(percent_rows_updated=1.0)
        elif work == RESTORE:
            stage.dump_source()
        able = [one for one in rivals if work in one.steps and not one.absent and one.key not in out]
        out.update(one.key for one in turned(able, number) if not _tried(stage, size, one, work, number))


def _tried(stage: Stage, size: Size, contender: Contender, work: str, number: int) -> bool:
    try:
        size.runs.append(run_step(stage, contender, work, number, contender.steps[work]))
        return True
    except FailedError as error:
        tell(f"  round {number}: failed: {WORKS[work]}: {contender.title}: {error}")
        size.failures.append(
            f"{contender.title}, {WORKS[work]}, round {number}: {str(error).replace(str(stage.folder), '…')[:600]}"
        )
        return False


def _contenders(sizes: Sequence[Size]) -> list[Table]:
    rows = [[who.title, who.how] for who in (sizes[0].contenders if sizes else [])]
    return [Table("The contenders", ["", "what runs"], rows, words=2)] if rows else []


def _databases(sizes: Sequence[Size]) -> Table:
    rows = [
        [size.name, f"{size.copy_bytes / 1e6:,.0f}", f"{size.database_bytes / 1e6:,.0f}", f"{size.rows:,}", f"{size.rounds}"]
        for size in sizes
    ]
    return Table("The databases", ["", "COPY text MB", "on the server's disk MB", "rows", "rounds"], rows)
