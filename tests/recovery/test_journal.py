"""Executions are kept in the home, whole and private, so that a lost catalog stops no resume."""

from __future__ import annotations

import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from holdfast.recovery import journal as journals
from holdfast.recovery.execution import Execution, StepRecord
from holdfast.recovery.journal import Journal

AT = datetime(2026, 3, 1, 12, 30, 0, 250000, tzinfo=UTC)


def _execution(number: int = 1, **more: object) -> Execution:
    step = StepRecord("a", "A", "scripted", "done", 2, AT, AT, "did it", {"rows": 3}, ("a note",), None, {"kept": "x"})
    made = Execution(f"recovery_{number}_a", "p", "manual", "run", AT, steps=(step,), metadata={"flowRunId": f"run-{number}"})
    return replace(made, **more)


def test_an_execution_is_found_as_it_was_written_and_nobody_else_can_read_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert journal.read("recovery_1_a") is None
    journal.write(_execution())
    journal.write(done := _execution(status="success", completed_at=AT, facts={"table": "articles"}))
    assert journal.read("recovery_1_a") == done
    assert journal.of_flow_run("run-1") == done
    assert journal.of_flow_run("run-2") is None
    (file,) = (tmp_path / "recovery" / "executions").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_damaged_record_counts_for_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal = Journal(tmp_path)
    journal.write(_execution(1))
    journal.write(_execution(2))
    path = tmp_path / "recovery" / "executions" / "recovery_1_a.json"
    path.write_text(path.read_text()[:-20])
    assert [one.id for one in journal.all()] == ["recovery_2_a"]
    assert "recovery_1_a.json can't be read" in caplog.text


def test_the_oldest_go_and_what_is_at_work_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "KEPT", 1)
    journal = Journal(tmp_path)
    for number, status in ((1, "running"), (2, "failed"), (3, "success")):
        journal.write(_execution(number, status=status))
    journal.forget_old()
    assert sorted(one.id for one in journal.all()) == ["recovery_1_a", "recovery_3_a"]
