"""PostgreSQL's own tools: how fast the source can be read, and how fast a local dump can be loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.contenders.contender import BACKUPS, RESTORE, Contender, Step, in_turn
from benchmarks.stage import Stage


def dump(stage: Stage) -> Contender:
    """`pg_dump` into nothing: what one reader of the source takes."""

    def step() -> Step:
        return Step(tuple(dump_command(stage, 0)), stage.environment())

    return Contender(
        "dump",
        "pg_dump to /dev/null",
        "`pg_dump -Fc -Z0 > /dev/null`: how fast one reader reads the source",
        dict.fromkeys(BACKUPS, step),
    )


def dump_command(stage: Stage, level: int) -> list[str]:
    """`pg_dump` of the source to standard output, in the custom format, compressed to that level."""
    return [stage.tool("pg_dump"), "-Fc", f"-Z{level}", "-d", str(stage.source)]


def pg_restore(stage: Stage) -> Contender:
    """`pg_restore -j2` of a local dump into a fresh database."""

    def step() -> Step:
        return loads(stage, load_file(stage, stage.dump))

    return Contender("pg_restore", "pg_restore -j2", "`pg_restore -j2` of a local dump that `pg_dump -Fc` made", {RESTORE: step})


def pg_restore_and_analyze(stage: Stage) -> Contender:
    """The same with the statistics that queries need, which a restore by Holdfast makes too."""

    def step() -> Step:
        analyze = (str(Path(stage.tool("pg_dump")).with_name("vacuumdb")), "-Z", "-j2", "-q", "-d", str(stage.restored))
        return loads(stage, in_turn(load_file(stage, stage.dump), analyze))

    how = "the same, then `vacuumdb -Z -j2`, for after a restore by Holdfast every table has statistics, too"
    return Contender("pg_restore-analyze", "pg_restore -j2, ANALYZE", how, {RESTORE: step})


def load_file(stage: Stage, file: Path) -> tuple[str, ...]:
    """Load a dump that lies in a file, by two sessions."""
    return (stage.tool("pg_restore"), "-j2", "-d", str(stage.restored), str(file))


def loads(stage: Stage, command: tuple[str, ...], environment: Mapping[str, str] | None = None) -> Step:
    """A step that loads into a fresh database, which is dropped afterwards."""
    return Step(command, environment or stage.environment(), before=stage.fresh_restored, after=stage.drop_restored)
