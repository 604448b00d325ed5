"""Holdfast: the command as a user types it, through Prefect, and the engine alone, which is one process without it."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.contenders.contender import CHECK, FIRST, RESTORE, Contender, Step, every_backup
from benchmarks.contenders.dump import loads
from benchmarks.measure import bytes_in
from benchmarks.stage import HOLDFAST, Stage

ZSTD, GZIP = "zstd", "gzip"
_COMMAND = "command"
"""The repository of the command with zstd, which the blocks of the home name."""


def command(stage: Stage) -> Contender:
    """`holdfast backup database` with zstd, `holdfast repo check`, `holdfast restore`."""
    name = _COMMAND

    def run(*arguments: str) -> Step:
        return Step((HOLDFAST, *arguments, "--json"), stage.environment(name), stdout=stage.folder / "stdout")

    def first() -> Step:
        stage.new_repository(name)
        return again()

    def again() -> Step:
        return run("backup", "database")

    def restore() -> Step:
        step = run("restore", "latest", "--mode", "new", "--target", str(stage.restored))
        return Step(step.command, step.environment, stage.drop_restored, stage.drop_restored, step.stdout)

    steps = every_backup(first, again) | {CHECK: lambda: run("repo", "check", "--level", "read"), RESTORE: restore}
    how = (
        "`holdfast backup database` through the Prefect server of its home; `holdfast repo check`; "
        "`holdfast restore latest --mode new`, proven"
    )
    return Contender("holdfast", "holdfast, zstd", how, steps, lambda: bytes_in(stage.repository(name)))


def command_unproven(stage: Stage) -> Contender:
    """A restore of the command's repository that does what pg_restore does, and no more."""

    def restore() -> Step:
        arguments = ("restore", "latest", "--mode", "new", "--target", str(stage.restored), "--unproven", "--no-analyze")
        command = (HOLDFAST, *arguments, "--json")
        return Step(command, stage.environment(_COMMAND), stage.drop_restored, stage.drop_restored, stage.folder / "stdout")

    how = "`holdfast restore latest --mode new --unproven --no-analyze`, which gathers no statistics, and sets the backup's"
    return Contender("holdfast-unproven", "holdfast, no proof, no ANALYZE", how, {RESTORE: restore})


def command_gzip(stage: Stage) -> Contender:
    """The same with gzip at level 6; only its first backup differs in what matters here.

    Afterwards the home's blocks name the other repository again: the next command would see changed settings, and save them.
    """
    name = "command-gzip"

    def as_before() -> None:
        stage.holdfast("init", repository=_COMMAND)

    def first() -> Step:
        stage.new_repository(name, GZIP)
        command = (HOLDFAST, "backup", "database", "--json")
        return Step(command, stage.environment(name, GZIP), after=as_before, stdout=stage.folder / "stdout")

    how = "`holdfast backup database` with gzip at level 6"
    return Contender("holdfast-gzip", "holdfast, gzip 6", how, {FIRST: first}, lambda: bytes_in(stage.repository(name)))


def engine(stage: Stage) -> Contender:
    """The engine alone with zstd; its restore is proven, as the command's is."""
    name = "engine"

    def first() -> Step:
        stage.forget_repository(name)
        return again()

    def again() -> Step:
        return Step(engine_command("backup"), _environment(stage, name))

    steps = every_backup(first, again) | {
        CHECK: lambda: Step(engine_command("check"), _environment(stage, name)),
        RESTORE: lambda: _restores(stage, name),
    }
    how = "the engine in one process, without Prefect, catalog and command line (`benchmarks/engine.py`); its restore is proven"
    return Contender("engine", "engine, zstd", how, steps, lambda: bytes_in(stage.repository(name)))


def engine_gzip(stage: Stage) -> Contender:
    """The engine alone with gzip at level 6."""
    name = "engine-gzip"

    def first() -> Step:
        stage.forget_repository(name)
        return Step(engine_command("backup"), _environment(stage, name, GZIP))

    how = "the engine with gzip at level 6"
    return Contender("engine-gzip", "engine, gzip 6", how, {FIRST: first}, lambda: bytes_in(stage.repository(name)))


def engine_unproven(stage: Stage) -> Contender:
    """A restore of the engine's repository that is not compared with the source's truth."""
    steps = {RESTORE: lambda: _restores(stage, "engine", "--unproven")}
    return Contender("engine-unproven", "engine, no proof", "the engine, its restore not compared with the source's truth", steps)


def engine_bare(stage: Stage) -> Contender:
    """A restore that proves and gathers as little as pg_restore does; it sets the statistics that the backup has."""
    steps = {RESTORE: lambda: _restores(stage, "engine", "--unproven", "--no-analyze")}
    return Contender(
        "engine-bare",
        "engine, no proof, no ANALYZE",
        "the engine, its restore gathering no statistics, and setting the backup's",
        steps,
    )


def engine_command(*arguments: str) -> tuple[str, ...]:
    """The engine by itself, as a process."""
    return (sys.executable, "-m", "benchmarks.engine", *arguments)


def _restores(stage: Stage, name: str, *how: str) -> Step:
    step = loads(stage, engine_command("restore", str(stage.restored), *how))
    return Step(step.command, _environment(stage, name), stage.drop_restored, stage.drop_restored)


def _environment(stage: Stage, name: str, algorithm: str = ZSTD) -> dict[str, str]:
    return stage.environment(name, algorithm) | {"PYTHONPATH": str(Path(__file__).parent.parent.parent)}
