"""What is asked for is measured, and a section that fails costs none of the others its figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import days
from benchmarks.__main__ import main
from benchmarks.machine import machine
from benchmarks.results import Measured, Results
from benchmarks.section import Section


def test_a_section_that_is_not_there_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--sections", "compare,week"])
    assert "there is no section week" in capsys.readouterr().err


def test_a_section_that_fails_is_told_and_leaves_what_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(folder: Path, **_: object) -> Section:
        raise RuntimeError(f"no room in {folder.name}")

    monkeypatch.setattr(days, "section", broken)
    before = Results({"compare": Measured(machine(), Section("Before"))})
    before.write(tmp_path / "results.json")
    assert main(["--sections", "days", "--folder", str(tmp_path), "--out", str(tmp_path / "results.json")]) == 1
    assert "no room in holdfast-bench-" in capsys.readouterr().err
    assert [name for name, _ in Results.read(tmp_path / "results.json")] == ["compare"]
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
