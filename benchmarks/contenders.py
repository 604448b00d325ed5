"""Who runs against whom. Each step is one process that is measured, with what has to be so before, which is not.

Steps that need one another stay together and in order; the groups change places from round to round.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import bytes_in
from benchmarks.stage import HOLDFAST, RESTORED, Stage

ZSTD, GZIP, BARE = "zstd", "gzip", "engine"
KEYS = (  # in the order in which they are told
    "dump",
    "classic",
    "holdfast-zstd",
    "holdfast-gzip",
    "holdfast-again",
    "engine",
    "engine-again",
    "pg_restore",
    "analyze",
    "holdfast-restore",
    "engine-restore",
)


def _nothing() -> None:
    return None


def _no_bytes() -> int:
    return 0


@dataclass(frozen=True)
class Step:
    """One process to be measured. `stored` tells the bytes that lie where it stores, before and afterwards."""

    key: str
    title: str
    command: tuple[str, ...]
    environment: dict[str, str]
    before: Callable[[], None] = _nothing
    stored: Callable[[], int] = _no_bytes
    stdout: Path | None = None


def groups(stage: Stage) -> list[list[Step]]:
    """All steps, in groups."""
    return [
        [_dump(stage)],
        [_dump_as_people_do(stage)],
        [_backup(stage, ZSTD), _again(stage), _restore(stage)],
        [_backup(stage, GZIP)],
        [_engine_backup(stage), _engine_again(stage), _engine_restore(stage)],
        [_pg_restore(stage), _analyze(stage)],
    ]


def prepare(stage: Stage) -> None:
    """Make what several steps need: the archive that pg_restore reads."""
    command = [stage.tool("pg_dump"), "-Fc", "-f", str(stage.dump), "-d", str(stage.source)]
    subprocess.run(command, check=True)


def _dump(stage: Stage) -> Step:
    command = (stage.tool("pg_dump"), "-Fc", "-Z0", "-d", str(stage.source))
    return Step("dump", "A · pg_dump -Fc -Z0 > /dev/null", command, stage.environment())


def _dump_as_people_do(stage: Stage) -> Step:
    kept = stage.folder / "dump.enc"
    dump = shlex.join([stage.tool("pg_dump"), "-Fc", "-Z6", "-d", str(stage.source)])
    encrypt = shlex.join(["openssl", "enc", "-aes-256-ctr", "-pbkdf2", "-pass", f"file:{stage.key_file}", "-out", str(kept)])
    command = ("bash", "-c", f"set -o pipefail; {dump} | {encrypt}")
    return Step(
        "classic",
        "B · pg_dump -Fc -Z6 | openssl enc -aes-256-ctr",
        command,
        stage.environment(),
        before=lambda: kept.unlink(missing_ok=True),
        stored=lambda: kept.stat().st_size if kept.exists() else 0,
    )


def _backup(stage: Stage, algorithm: str) -> Step:
    letter = "C" if algorithm == ZSTD else "D"
    return Step(
        f"holdfast-{algorithm}",
        f"{letter} · holdfast backup database, {algorithm}",
        (HOLDFAST, "backup", "database", "--json"),
        stage.environment(algorithm, algorithm),
        before=lambda: stage.new_repository(algorithm, algorithm),
        stored=lambda: bytes_in(stage.repository(algorithm)),
        stdout=stage.folder / "stdout",
    )


def _again(stage: Stage) -> Step:
    return Step(
        "holdfast-again",
        "E · the same again, nothing changed",
        (HOLDFAST, "backup", "database", "--json"),
        stage.environment(ZSTD),
        stored=lambda: bytes_in(stage.repository(ZSTD)),
        stdout=stage.folder / "stdout",
    )


def _restore(stage: Stage) -> Step:
    return Step(
        "holdfast-restore",
        "G · holdfast restore latest --mode new",
        (HOLDFAST, "restore", "latest", "--mode", "new", "--target", str(stage.restored), "--json"),
        stage.environment(ZSTD),
        before=lambda: stage.drop(RESTORED),
        stdout=stage.folder / "stdout",
    )


def engine_command(*arguments: str) -> tuple[str, ...]:
    """The engine by itself, as a process."""
    return (sys.executable, "-m", "benchmarks.engine", *arguments)


def _engine_environment(stage: Stage) -> dict[str, str]:
    return stage.environment(BARE) | {"PYTHONPATH": str(Path(__file__).parent.parent)}


def _engine_backup(stage: Stage) -> Step:
    return Step(
        "engine",
        "C′ · the engine alone, zstd",
        engine_command("backup"),
        _engine_environment(stage),
        before=lambda: stage.forget_repository(BARE),
        stored=lambda: bytes_in(stage.repository(BARE)),
    )


def _engine_again(stage: Stage) -> Step:
    return Step(
        "engine-again",
        "E′ · the engine alone again, nothing changed",
        engine_command("backup"),
        _engine_environment(stage),
        stored=lambda: bytes_in(stage.repository(BARE)),
    )


def _engine_restore(stage: Stage) -> Step:
    return Step(
        "engine-restore",
        "G′ · the engine alone restores",
        engine_command("restore", str(stage.restored)),
        _engine_environment(stage),
        before=lambda: stage.drop(RESTORED),
    )


def _pg_restore(stage: Stage) -> Step:
    def fresh() -> None:
        stage.drop(RESTORED)
        stage.server.create_database(RESTORED)

    command = (stage.tool("pg_restore"), "-j2", "-d", str(stage.restored), str(stage.dump))
    return Step("pg_restore", "F · pg_restore -j2 of a local dump", command, stage.environment(), before=fresh)


def _analyze(stage: Stage) -> Step:
    command = (str(Path(stage.tool("pg_dump")).with_name("vacuumdb")), "-Z", "-j2", "-q", "-d", str(stage.restored))
    return Step("analyze", "F + · vacuumdb -Z -j2, which a restore by Holdfast includes", command, stage.environment())
