"""Ratios are taken within a round, and a reader sees what was not reached, what failed and who was absent."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

from benchmarks.__main__ import wanted_sizes
from benchmarks.compare import as_section
from benchmarks.contenders.contender import APPENDED, BACKUPS, FIRST, RESTORE, UNCHANGED
from benchmarks.figures import Run, Size, Who
from benchmarks.measure import MB, Cost
from benchmarks.section import Section
from benchmarks.targets import RATIOS, ratios, targets


def _run(who: str, work: str, number: int, wall: float, *, memory: int = 50 * MB, added: int = 0) -> Run:
    return Run(who, work, number, Cost(wall, wall / 2, memory, MB, memory, 0.1), added, added, 0.5, 0.1)


def _size(*runs: Run, absent: str = "") -> Size:
    who = [Who("dump", "a | b", "reads", works=list(BACKUPS)), Who("restic", "restic", "stores", absent, list(BACKUPS))]
    who.append(Who("holdfast", "holdfast, zstd", "stores", works=[*BACKUPS, RESTORE]))
    return Size(1000, 1038 * MB, 1300 * MB, 3000, 2, who, list(runs))


def _verdict(size: Size, text: str) -> list[str]:
    return next(target.as_row() for target in targets(size) if text in target.text)


def test_each_round_has_its_own_ratio() -> None:
    size = _size(
        _run("dump", FIRST, 1, 1), _run("dump", FIRST, 2, 4), _run("holdfast", FIRST, 1, 2), _run("holdfast", FIRST, 2, 4)
    )
    assert ratios(size, RATIOS[0], "holdfast") == [2, 1]
    assert _verdict(size, "zstd : pg_dump -Fc -Z0 > /dev/null (command)")[1:] == ["1.50 × (1.00–2.00)", "≤ 1.5 ×", "met"]


def test_a_round_in_which_one_side_is_missing_has_none() -> None:
    size = _size(_run("dump", FIRST, 1, 1), _run("holdfast", FIRST, 1, 3), _run("holdfast", FIRST, 2, 4))
    assert ratios(size, RATIOS[0], "holdfast") == [3]


def test_what_a_target_was_held_against_is_never_another_work() -> None:
    size = _size(_run("dump", UNCHANGED, 1, 1), _run("holdfast", FIRST, 1, 3))
    assert ratios(size, RATIOS[0], "holdfast") == []


def test_a_figure_is_held_against_its_aim_before_it_is_rounded() -> None:
    size = _size(_run("dump", FIRST, 1, 1), _run("holdfast", FIRST, 1, 1.501))
    assert _verdict(size, "zstd : pg_dump -Fc -Z0 > /dev/null (command)")[1:] == ["1.50 ×", "≤ 1.5 ×", "**not met**"]


def test_bytes_are_held_against_those_of_restic_and_of_the_first_backup() -> None:
    size = _size(
        _run("restic", APPENDED, 1, 1, added=20 * MB),
        _run("holdfast", APPENDED, 1, 1, added=22 * MB),
        _run("holdfast", FIRST, 1, 1, added=300 * MB),
        _run("holdfast", UNCHANGED, 1, 1, added=MB),
    )
    assert _verdict(size, "appended, bytes : restic's (command)")[1:] == ["1.10 ×", "≤ 1 ×", "**not met**"]
    assert _verdict(size, "unchanged backup, bytes : its first (command)")[3] == "met"


def test_memory_is_the_most_of_any_work_in_any_round() -> None:
    size = _size(_run("holdfast", FIRST, 1, 1), _run("holdfast", RESTORE, 1, 1, memory=251 * MB))
    assert _verdict(size, "peak memory of all its works, without PostgreSQL's programs (command)")[1:] == [
        "251 MB",
        "≤ 250 MB",
        "**not met**",
    ]


def test_who_is_absent_stands_in_the_tables_with_the_reason_and_is_not_taken_for_reached() -> None:
    size = _size(_run("holdfast", FIRST, 1, 1), absent="not on this machine; Debian: apt-get install restic")
    text = as_section([size]).as_markdown()
    assert "| restic | absent |" in text
    assert "- restic: not on this machine; Debian: apt-get install restic" in text
    assert _verdict(size, "first backup, zstd : restic (command)")[1:] == ["restic is absent", "≤ 0.5 ×", "**not met**"]


def test_what_failed_is_told_and_is_no_figure() -> None:
    size = replace(_size(_run("dump", FIRST, 1, 1)), failures=["holdfast, zstd, first backup, round 1: no room"])
    text = as_section([size]).as_markdown()
    assert "| holdfast, zstd | failed |" in text
    assert "- failed at 1,000 MB: holdfast, zstd, first backup, round 1: no room" in text


def test_the_table_has_the_median_with_the_least_and_the_most() -> None:
    text = as_section([_size(_run("dump", FIRST, 1, 1), _run("dump", FIRST, 2, 2, memory=70 * MB, added=MB))]).as_markdown()
    assert r"| a \| b | 1.50 (1.00–2.00) | 0.75 (0.50–1.00) | 0.50 | 0.10 | 60 (50–70) | 70 | 1 | 0.5 (0.0–1.0) |" in text


def test_all_runs_come_back_from_the_file() -> None:
    size = _size(_run("dump", FIRST, 1, 1), _run("holdfast", FIRST, 1, 2))
    section = as_section([size])
    read = Section.from_json(json.loads(json.dumps(section.as_json())))
    assert read == section
    assert Size.from_json(read.figures["sizes"][0]) == size
    assert read.figures["sizes"][0]["runs"] == [asdict(run) for run in size.runs]


def test_a_size_may_have_its_own_number_of_rounds() -> None:
    assert wanted_sizes("100,1000:2,4000:1", 5) == [(100, 5), (1000, 2), (4000, 1)]


def test_how_memory_moves_with_the_size_is_told_where_there_are_several() -> None:
    small = replace(_size(_run("holdfast", FIRST, 1, 1), _run("holdfast", RESTORE, 1, 1, memory=90 * MB)), megabytes=100)
    large = _size(_run("holdfast", FIRST, 1, 1, memory=120 * MB))
    assert "| holdfast, zstd | 90 | 120 |" in as_section([small, large]).as_markdown()
    assert "Peak memory MB" not in as_section([large]).as_markdown()
