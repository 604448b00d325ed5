"""What a backup's seconds are made of is told for each kind of run; a worker's wait for its turn is not held against the run."""

from __future__ import annotations

from typing import Any

from benchmarks.measure import MB
from benchmarks.prefect_share import BEGINS, COMMAND, ENGINE, READY, TAKEN, WORKER, Run, as_section


def _run(kind: str, number: int, wall: float, parts: dict[str, float], **known: Any) -> Run:
    costs = {"cpu_seconds": 2.0, "home_cpu_seconds": 0.5, "peak_bytes": 120 * MB} | known
    return Run(kind, number, wall, parts=parts, **costs)


def test_a_wait_for_the_worker_shows_and_is_not_the_runs() -> None:
    runs = [
        _run(COMMAND, 1, 3.0, {BEGINS: 1.5, READY: 0.5}),
        _run(COMMAND, 2, 4.0, {BEGINS: 2.5, READY: 0.6}),
        _run(WORKER, 1, 6.5, {TAKEN: 1.8, BEGINS: 2.0, READY: 0.4}, cpu_seconds=None, peak_bytes=None),
        _run(ENGINE, 1, 0.7, {}, peak_bytes=60 * MB),
    ]
    section = as_section(runs)
    parts = {row[0]: row[1:] for row in section.tables[0].rows}
    assert parts[TAKEN] == ["", "1.80"]
    assert parts[BEGINS] == ["2.00 (1.50–2.50)", "2.00"]
    costs = {row[0]: row[1:] for row in section.tables[1].rows}
    assert costs[COMMAND] == ["3.50 (3.00–4.00)", "2.00 (2.00–2.00)", "0.50 (0.50–0.50)", "120"]
    assert costs[WORKER] == ["6.50", "", "0.50", ""]
    assert [(target.measured, target.met) for target in section.targets] == [(3.5, True), (4.7, True)]
