"""What a person reads after an execution: what was done, what stays, and what to type next."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from cli import recover_text

STEP = {"name": "Restore", "outcome": "done", "attempts": 1, "summary": "it is back", "error": None, "notes": [], "undo": None}
EXECUTION = {
    "executionId": "recovery_1_a",
    "planId": "p",
    "plan": {"name": "The plan p"},
    "mode": "run",
    "status": "success",
    "durationMs": 1500,
    "steps": [STEP],
    "error": None,
    "metadata": {},
}


def test_who_changes_their_mind_after_a_recovery_reads_how_it_is_undone() -> None:
    assert "--roll-back" not in _shown()
    assert "Undo what was done:     holdfast recover --roll-back recovery_1_a" in _shown(steps=[STEP | {"undo": {"kept": "x"}}])


def test_a_look_ends_with_the_command_that_does_it_where_there_is_something_to_do() -> None:
    looked = {"mode": "plan", "status": "planned", "durationMs": None}
    left_out = STEP | {"outcome": "left out", "would": []}
    assert "Do it: holdfast recover p" in _shown(**looked, steps=[STEP | {"outcome": "waiting", "would": ["restore it"]}])
    assert "Do it" not in _shown(**looked, steps=[left_out])


def test_a_failure_is_told_once_with_what_to_type() -> None:
    why = "nothing listens there. Start the server, then run it again"
    failed = STEP | {"outcome": "failed", "attempts": 2, "summary": None, "error": why}
    shown = _shown(status="partial", steps=[failed], error=f"the plan p was not carried out to its end: Restore failed: {why}")
    assert shown.count(why) == 1
    assert f"  ✗ Restore: failed, after 2 attempts\n      {why}\n  Go on where it stopped: holdfast recover --resume" in shown
    assert "  Why: it was interrupted" in _shown(status="failed", error="it was interrupted")


def test_what_a_roll_back_leaves_as_it_is_is_said_first() -> None:
    undone = {"status": "partial", "metadata": {"rolledBackAt": "2026-03-01T12:00:00Z"}}
    assert _shown(**undone, error="it was rolled back, but for Rotate").startswith(
        "– The plan p was rolled back, but for Rotate\n"
    )
    assert _shown(**undone | {"status": "failed"}, error="it was rolled back").startswith("✓ The plan p was rolled back\n")


def _shown(**changes: Any) -> str:
    console = Console(width=120)
    with console.capture() as shown:
        for line in recover_text.ended(EXECUTION | changes):
            console.print(line, highlight=False)
    return shown.get()
