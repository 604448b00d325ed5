"""What people are told of an execution: short, whole, and with what to do now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.messages import Origin
from holdfast.recovery.execution import Execution
from holdfast.recovery.running import begun, ended, step_begun, step_done
from holdfast.recovery.stakes import Stakes, stakes_text
from holdfast.recovery.step_type import Outcome
from holdfast.recovery.telling import ended_message, waiting_message
from tests.recovery.scripting import plan, scripted_types, step

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ORIGIN = Origin("shop", "db-1")


@pytest.fixture
def execution(tmp_path: Path) -> Iterator[Execution]:
    with scripted_types():
        made = plan("p", tmp_path, step("a"), step("b", "a"))
        yield begun(made, "recovery_1_a", trigger="manual", mode="run", facts={}, forced=False, at=NOW)


def test_who_has_to_agree_is_told_what_is_at_stake_and_how_to_answer(execution: Execution) -> None:
    stakes = Stakes(
        ["rows are newer than the backup"],
        foreseen=[("Bring back", ["it would be promoted"]), ("Move", ["it would be copied", "what is there would be kept"])],
        losses=[
            {"table": "public.articles", "rows": 3, "liveRows": 53, "backupRows": 50},
            {"table": "public.newer", "rows": 7, "liveRows": 7, "backupRows": None},
        ],
        backup_id="backup_1_a",
        backup_at=NOW,
        connections=4,
        not_known=["how large it is: nobody answers"],
    )
    said = list(stakes_text(stakes.document()))
    assert said[0] == "Why a person is asked: rows are newer than the backup."
    assert said[1].startswith("The backup backup_1_a is of 2026-03-01 12:00 UTC, ")
    assert said[2:] == [
        "At least 10 rows would be lost, of 2 tables:",
        "- public.articles: 3 of 53 rows",
        "- public.newer: 7 of 7 rows, a table that the backup has not",
        "Open connections to the live database: 4.",
        "Bring back: it would be promoted",
        "Move:",
        "- it would be copied",
        "- what is there would be kept",
        "Not known: how large it is: nobody answers",
    ]
    message = waiting_message(execution, said, ORIGIN, NOW, NOW + timedelta(hours=24))
    assert message.subject == "[Holdfast shop] Recovery waits for your approval: The plan p"
    assert "Agree: holdfast recover --approve recovery_1_a\nRefuse: holdfast recover --deny recovery_1_a" in message.body
    assert "At 2026-03-02 12:00 UTC it ends without having changed anything" in message.body


def test_an_end_is_told_with_each_step_and_what_to_do(execution: Execution) -> None:
    done = step_done(step_begun(execution.step("a"), NOW), Outcome("it is back", undo={"kept": "x"}), NOW)
    failed = ended(execution.with_step(done), NOW, "it was cancelled")
    message = ended_message(failed, ORIGIN, NOW)
    assert (message.subject, message.mood) == ("[Holdfast shop] Recovery was done in part, then failed: The plan p", "failure")
    assert message.body.startswith(
        "Why: it was cancelled\ndone: A: it is back\nwaiting: B\nWhat to do: 'holdfast recover --resume"
    )
    assert "'holdfast recover --roll-back recovery_1_a' undoes what was done" in message.body
