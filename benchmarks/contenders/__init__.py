"""Who runs against whom, a module a contender."""

from __future__ import annotations

from benchmarks.contenders.borg import borg
from benchmarks.contenders.classic import classic
from benchmarks.contenders.contender import Contender
from benchmarks.contenders.dump import dump, pg_restore, pg_restore_and_analyze
from benchmarks.contenders.holdfast import (
    command,
    command_gzip,
    command_unproven,
    engine,
    engine_bare,
    engine_command,
    engine_gzip,
    engine_unproven,
)
from benchmarks.contenders.pgbackrest import pgbackrest
from benchmarks.contenders.restic import restic
from benchmarks.stage import Stage

__all__ = ["KEYS", "Contender", "contenders", "engine_command"]

KEYS = (
    "dump", "pg_restore", "pg_restore-analyze", "classic", "restic", "borg", "pgbackrest",
    "holdfast", "holdfast-gzip", "holdfast-unproven", "engine", "engine-gzip", "engine-unproven", "engine-bare",
)  # fmt: skip
"""As they are called where only some are asked for."""


def contenders(stage: Stage) -> list[Contender]:
    """All of them, in the order in which they are told."""
    makers = (
        dump, pg_restore, pg_restore_and_analyze, classic, restic, borg, pgbackrest,
        command, command_gzip, command_unproven, engine, engine_gzip, engine_unproven, engine_bare,
    )  # fmt: skip
    return [maker(stage) for maker in makers]
