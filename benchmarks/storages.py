"""`python -m benchmarks.storages --megabytes 110 --rounds 3`: one backup and one restore of the demo's database on each storage.

Whole processes of the engine, interleaved, local disk beside. The clouds are emulators on this machine: the figures tell what the
client's side costs, and what the emulator takes for itself; they tell nothing of a network or of the real service.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.contenders import engine_command
from benchmarks.measure import measured
from benchmarks.stage import RESTORED, Stage, open_stage
from holdfast.storage import StorageSettings
from tests.storage.servers import as_variables, azurite_server, gcs_server, moto_server

MIB = 1 << 20


@dataclass
class Contender:
    """A kind of storage: what makes an empty one, and the wall seconds that each round took."""

    title: str
    new_storage: Callable[[], StorageSettings]
    backups: list[float] = field(default_factory=list)
    restores: list[float] = field(default_factory=list)


def main(arguments: list[str] | None = None) -> int:
    """Measure, and print one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storages", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=110, help="MiB of rows (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("bench-results/storages.md"), help="(default: %(default)s)")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that nothing is left running
    folder = Path(tempfile.mkdtemp(prefix="holdfast-bench-"))
    folder.chmod(0o755)  # where root runs this, the server is another user's
    try:
        with open_stage(folder) as stage:
            table = _measured(stage, options.megabytes, options.rounds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(table)
    print(table)
    return 0


def _measured(stage: Stage, megabytes: int, rounds: int) -> str:
    facts = stage.build_source(megabytes)
    contenders = [
        Contender("local disk", lambda: StorageSettings(type="local", path=_empty(stage.repository("local")))),
        Contender("S3 (moto)", moto_server().new_storage),
        Contender("Azure (Azurite)", azurite_server().new_storage),
        Contender("Google Cloud Storage (gcp-storage-emulator)", gcs_server().new_storage),
    ]
    _round(stage, contenders[:1])  # what is cold is warm afterwards
    contenders[0].backups.clear()
    contenders[0].restores.clear()
    for number in range(rounds):
        _round(stage, contenders[number % 4 :] + contenders[: number % 4])
    return _table(contenders, facts.total_copy_bytes, rounds)


def _round(stage: Stage, contenders: Sequence[Contender]) -> None:
    for one in contenders:
        environment = _environment(stage, one.new_storage())
        stage.drop(RESTORED)
        stage.settle()
        backup = measured(engine_command("backup"), environment=environment, folder=stage.folder)
        stage.settle()
        restore = measured(engine_command("restore", str(stage.restored)), environment=environment, folder=stage.folder)
        one.backups.append(backup.wall_seconds)
        one.restores.append(restore.wall_seconds)
        print(f"  {backup.wall_seconds:6.2f} s  {restore.wall_seconds:6.2f} s  {one.title}", file=sys.stderr, flush=True)


def _environment(stage: Stage, place: StorageSettings) -> dict[str, str]:
    found = {name: value for name, value in stage.environment().items() if not name.startswith("BACKUP_STORAGE_")}
    return found | as_variables(place) | {"PYTHONPATH": str(Path(__file__).parent.parent)}


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _table(contenders: Sequence[Contender], copy_bytes: int, rounds: int) -> str:
    local = contenders[0]
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, {copy_bytes / MIB:.0f} MiB of COPY text, "
        f"{rounds} rounds, medians.",
        "",
        "| storage | backup s | MiB/s | to local | restore s | MiB/s | to local |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for one in contenders:
        cells = [one.title, *_cells(one.backups, local.backups, copy_bytes), *_cells(one.restores, local.restores, copy_bytes)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cells(seconds: Sequence[float], local: Sequence[float], copy_bytes: int) -> tuple[str, str, str]:
    middle = statistics.median(seconds)
    ratio = statistics.median(mine / beside for mine, beside in zip(seconds, local, strict=True))
    return f"{middle:.2f}", f"{copy_bytes / MIB / middle:.0f}", f"{ratio:.2f}"


if __name__ == "__main__":
    sys.exit(main())
