"""A figure in docs/performance.md is one that was measured: the page is held against the results that it was made from."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.compare import as_section
from benchmarks.contenders.contender import BACKUPS, FIRST, RESTORE
from benchmarks.figures import Run, Size, Who
from benchmarks.machine import machine
from benchmarks.measure import MB, Cost
from benchmarks.plots import DAYS, MEMORY, STORED, WALL, draw
from benchmarks.report import BEGIN, END, PAGE, PICTURES, RESULTS, generated, generated_in, with_generated
from benchmarks.results import Measured, Results
from benchmarks.section import Section, Target


def _run(who: str, work: str, number: int, wall: float) -> Run:
    return Run(who, work, number, Cost(wall, wall, 90 * MB, 5 * MB, 80 * MB, 0.0), int(wall * MB), int(wall * MB), 0.1, 0.1)


def _size(megabytes: int) -> Size:
    who = [Who("restic", "restic", "r", works=list(BACKUPS)), Who("holdfast", "holdfast, zstd", "h", works=[*BACKUPS, RESTORE])]
    runs = [_run(one.key, work, number, number + 1.5) for one in who for work in one.works for number in (1, 2)]
    return Size(megabytes, megabytes * MB, 2 * megabytes * MB, 10, 2, who, runs)


@pytest.fixture(scope="module")
def results() -> Results:
    days = {"titles": {"restic": "restic"}, "days": [asdict(_run("restic", FIRST, day, day)) for day in (1, 2, 3)]}
    return Results(
        {
            "compare": Measured(machine(), as_section([_size(100), _size(1000)])),
            "large": Measured(machine(), as_section([_size(4000)], "Large")),
            "days": Measured(machine(), Section("3 daily backups", figures=days)),
            "other": Measured(
                machine() | {"commit": "abc"}, Section("Other", targets=[Target("other", 1.0, "s", 5.0)]), complete=False
            ),
        }
    )


def test_the_page_has_the_figures_that_were_measured_and_no_others() -> None:
    results = Results.read(RESULTS)
    assert generated_in(PAGE.read_text(encoding="utf-8")) == generated(results)


def test_every_picture_of_the_page_is_there() -> None:
    shown = [part.partition(")")[0] for part in generated_in(PAGE.read_text(encoding="utf-8")).split("](images/")[1:]]
    assert [name for name in shown if not (PICTURES / name).exists()] == []


def test_only_what_is_between_the_comments_changes(results: Results) -> None:
    page = with_generated(f"# Words\n\n{BEGIN}\nold\n{END}\n\nmore\n", generated(results))
    assert page == f"# Words\n\n{BEGIN}\n{generated(results)}{END}\n\nmore\n"
    with pytest.raises(ValueError, match="lacks one of its two comments"):
        with_generated("# Words\n", "text")


def test_each_target_stands_once_and_those_at_1_gb_come_first(results: Results) -> None:
    lines = [line for line in generated(results).splitlines() if line.endswith(("met |", "met** |"))]
    assert len(lines) == len(set(lines)) == sum(len(one.section.targets) for _, one in results)
    assert lines[0].startswith("| 1,000 MB · first backup")
    assert "| other | 1.00 s | ≤ 5 s | met |" in lines


def test_each_section_says_where_it_comes_from_and_whether_it_was_finished(results: Results) -> None:
    text = generated(results)
    assert "Holdfast at abc" in text
    assert text.count("Not finished.") == 1


def test_measuring_one_section_leaves_the_others(results: Results, tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    results.write(file)
    again = Results.read(file)
    again.put("other", Measured(machine(), Section("Anew")))
    again.write(file)
    read = Results.read(file)
    assert [name for name, _ in read] == ["compare", "large", "days", "other"]
    assert read.get("compare") == results.get("compare")


def test_the_same_figures_give_the_same_pictures_on_a_white_ground(results: Results, tmp_path: Path) -> None:
    assert sorted(draw(results, tmp_path / "one")) == sorted([WALL, STORED, MEMORY, DAYS])
    draw(results, tmp_path / "two")
    for picture in (tmp_path / "one").iterdir():
        text = picture.read_text(encoding="utf-8")
        assert text == (tmp_path / "two" / picture.name).read_text(encoding="utf-8")
        assert "holdfast" in text or picture.name == DAYS
        assert "4,000 MB" in text or picture.name != MEMORY
        assert len(text) < 150_000
        ElementTree.fromstring(text)
        assert "fill: #ffffff" in text
