"""Ratios are taken within a round, and a reader sees what was not reached."""

from __future__ import annotations

import json

from benchmarks.__main__ import wanted_sizes
from benchmarks.figures import RATIOS, Run, Size, as_json, as_markdown
from benchmarks.measure import Cost

MIB = 1 << 20


def _run(key: str, number: int, wall: float, *, memory: int = 50 * MIB, stored: int = 0) -> Run:
    return Run(key, f"{key} | piped", number, Cost(wall, wall / 2, memory, memory, 0.1), stored, 0.0)


def _size(*runs: Run) -> Size:
    return Size(100, 100 * MIB, 1000, list(runs))


def test_each_round_has_its_own_ratio() -> None:
    size = _size(_run("dump", 1, 1), _run("dump", 2, 4), _run("holdfast-zstd", 1, 2), _run("holdfast-zstd", 2, 4))
    assert size.ratios(RATIOS[0]) == [2, 1]


def test_a_round_in_which_one_side_is_missing_has_none() -> None:
    size = _size(_run("dump", 1, 1), _run("holdfast-zstd", 1, 3), _run("holdfast-zstd", 2, 4))
    assert size.ratios(RATIOS[0]) == [3]


def test_what_both_do_is_added_to_what_does_less() -> None:
    ratio = next(ratio for ratio in RATIOS if ratio.plus)
    assert _size(_run("pg_restore", 1, 3), _run("analyze", 1, 1), _run("holdfast-restore", 1, 6)).ratios(ratio) == [1.5]


def test_the_table_says_what_was_met_and_what_was_not() -> None:
    size = _size(
        _run("dump", 1, 1),
        _run("dump", 2, 1),
        _run("holdfast-zstd", 1, 5, memory=400 * MIB, stored=25 * MIB),
        _run("classic", 1, 50),
    )
    lines = as_markdown([size]).splitlines()
    assert "| C / A: backup, zstd, to the source's own speed | 5.00 | ≤ 2 | **not met** |" in lines
    assert "| C / B: backup, zstd, to what people do | 0.10 | ≤ 0.4 | met |" in lines
    assert "| Peak memory of a backup, all its processes, MiB | 400 | ≤ 300 | **not met** |" in lines
    assert any(line.startswith(r"| holdfast-zstd \| piped | 5.00 | 2.50 |") and line.endswith("| 25.0 | 4.0 |") for line in lines)


def test_the_raw_figures_are_all_kept() -> None:
    raw = json.loads(json.dumps(as_json([_size(_run("dump", 1, 1))])))
    assert raw["sizes"][0]["runs"][0]["cost"]["wall_seconds"] == 1
    assert raw["machine"]["processors"] >= 1


def test_a_size_may_have_its_own_number_of_rounds() -> None:
    assert wanted_sizes("110,1000:2,4000:1", 5) == [(110, 5), (1000, 2), (4000, 1)]
