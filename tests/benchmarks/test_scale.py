"""What the scale is measured on is a repository like any other, and what is simulated is only where it lies."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import many_backups, many_chunks
from benchmarks.scale import _chunk_targets
from holdfast.repository import Repository, UserKey
from holdfast.storage import LocalStorage

KEY = UserKey.parse("33" * 32)


def test_backups_that_were_sealed_for_measuring_are_whole_and_prunable(tmp_path: Path) -> None:
    Repository.create(LocalStorage(tmp_path), key=KEY)
    assert many_backups.build(tmp_path, KEY, 12) > 10_000
    held = Repository.open(LocalStorage(tmp_path), key=KEY)
    report = held.check(level="read")
    assert (report.ok, len(report.backups), report.chunks) == (
        True,
        12,
        len({e.root.id for b in held.backups() for e in b.manifest.entries}),
    )
    assert held.verified_levels() == {one.id: "stored" for one in held.backups()}
    assert held.prune(grace_seconds=0, dry_run=True).chunks_kept == report.chunks


@pytest.mark.parametrize("work", many_chunks.WORKS)
def test_each_work_is_done_on_all_the_chunks_that_there_seem_to_be(work: str) -> None:
    command = [sys.executable, "-m", "benchmarks.many_chunks", work, "3000"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert (found["work"], found["chunks"]) == (work, 3000)
    assert found["peak_bytes"] >= found["peak_before_bytes"] > 0


def test_growth_is_judged_by_the_two_largest() -> None:
    found = [
        {"work": work, "chunks": chunks, "peak_bytes": 2e8 if chunks < 4 else 5e8, "cpu_seconds": chunks * 1.0}
        for work in many_chunks.WORKS
        for chunks in (1, 2, 4)
    ]
    targets = {target.text: target for target in _chunk_targets(found, [1, 2, 4])}
    memory, time = (
        targets["4 chunks: prune, memory to that of half as many"],
        targets["4 chunks: prune, CPU time to that of half as many"],
    )
    assert (memory.measured, memory.met) == (2.5, False)
    assert (time.measured, time.met) == (2.0, True)
    assert len(targets) == 9
