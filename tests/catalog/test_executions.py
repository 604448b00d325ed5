"""Rows of executions: made, followed, ended once, found again as they were; written later where the catalog was down."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.catalog import Catalog, Mirror
from holdfast.recovery.execution import Execution
from holdfast.recovery.running import begun, ended, step_begun, step_done
from holdfast.recovery.step_type import Outcome
from tests.catalog.conftest import Ask
from tests.catalog.test_mirror import Switch
from tests.recovery.scripting import plan, scripted_types, step

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def execution(tmp_path: Path) -> Iterator[Execution]:
    with scripted_types():
        made = plan("of_the_catalog", tmp_path, step("a"), step("b", "a"))
        facts = {"table": "public.articles"}
        yield begun(made, "recovery_9_z", trigger="database_corruption", mode="run", facts=facts, forced=True, at=AT)


def _one_done(execution: Execution) -> Execution:
    done = step_done(step_begun(execution.step("a"), AT), Outcome("did it", {"rows": 3}, undo={"kept": "x"}), AT)
    return replace(execution.with_step(done), approved_by="somebody", metadata={"flowRunId": "f-1"})


def test_a_row_lives_from_start_to_end_and_ends_once(catalog: Catalog, ask: Ask, execution: Execution) -> None:
    rows = catalog.executions
    assert rows.open(execution)
    assert ask("SELECT plan_id FROM disaster_recovery_plans WHERE plan_id = 'of_the_catalog'"), "its plan has no row"
    going = _one_done(execution)
    assert rows.note(going)
    assert rows.find(execution.id) == going
    assert rows.of_flow_run("f-1") == going
    assert going in rows.open_work()
    done = ended(going, AT + timedelta(seconds=90), "it was cancelled")
    assert rows.close(done)
    assert not rows.close(replace(done, status="success"))
    assert not rows.note(going)
    (row,) = ask("SELECT status, duration_ms, error_message, steps_executed FROM disaster_recovery_executions")
    assert row[:3] == ("partial", 90_000, "it was cancelled")
    assert [(one["name"], one["type"], one["outcome"], one["attempts"]) for one in row[3]] == [
        ("A", "scripted", "done", 1),
        ("B", "scripted", "waiting", 0),
    ]
    assert rows.open(going), "a resumed execution could not run again"
    assert rows.find(execution.id) == going


def test_executions_are_listed_page_by_page_the_newest_first(catalog: Catalog, execution: Execution) -> None:
    rows = catalog.executions
    made = [replace(execution, id=f"recovery_{n}_z", started_at=AT + timedelta(minutes=n // 2)) for n in range(5)]
    for one in made:
        rows.open(one)
    found = rows.list(limit=2)
    while page := rows.list(limit=2, before=found[-1]):
        found += page
    assert [one.id for one in found] == [f"recovery_{n}_z" for n in (4, 3, 2, 1, 0)]
    assert rows.list("another plan") == []
    assert rows.list(status="running", since=AT + timedelta(minutes=2)) == [made[4]]


def test_what_a_catalog_that_was_down_missed_is_written_when_it_answers(catalog: Catalog, execution: Execution) -> None:
    switch = Switch(catalog._database.url)
    with closing(Mirror(switch, retry_seconds=0)) as mirror:
        assert mirror.open_execution(execution)
        assert mirror.note_execution(replace(execution, waiting_for="another"))
        assert mirror.note_execution(going := _one_done(execution))
        assert len(mirror.missed) == 2, "of several notes only the last has to be written"
        switch.on = True
        assert mirror.close_execution(done := ended(going, AT, "it died"))
    assert catalog.executions.find(execution.id) == done


def test_a_row_of_another_system_can_be_listed(catalog: Catalog, ask: Ask, execution: Execution) -> None:
    catalog.executions.open(execution)
    ask(
        "INSERT INTO disaster_recovery_executions (execution_id, plan_id, trigger, status, steps_executed) "
        "VALUES ('theirs', 'of_the_catalog', 'manual', 'success', '[{\"step\": \"x\"}]') RETURNING 1"
    )
    found = catalog.executions.find("theirs")
    assert found is not None
    assert (found.status, found.steps, found.mode) == ("success", (), "run")
