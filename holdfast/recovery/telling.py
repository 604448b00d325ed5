"""Messages about an execution, for a person at night: what begins, what is waited for, how it ended and how to go on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from holdfast import figures
from holdfast.messages import Message, Mood, Origin
from holdfast.recovery.execution import FINISHED, Execution, StepRecord
from holdfast.recovery.running import how_to_go_on

_MARKS = {"done": "done", "not needed": "not needed", "failed": "FAILED", "left out": "left out", "undone": "undone"}


def begun_message(execution: Execution, origin: Origin, at: datetime) -> Message:
    """Tell that an execution begins."""
    what = "goes on" if any(one.state in FINISHED for one in execution.steps) else "begins"
    return _message(execution, f"{what}: {_name(execution)}", [_cause(execution)], origin=origin, at=at)


def waiting_message(execution: Execution, question: list[str], origin: Origin, at: datetime, until: datetime) -> Message:
    """Tell that a person has to agree, and how."""
    lines = [
        "It changes nothing until somebody agrees.",
        *question,
        f"Agree: holdfast recover --approve {execution.id}",
        f"Refuse: holdfast recover --deny {execution.id}",
        "Or in the Prefect UI, where the run is suspended.",
        f"At {figures.minute_utc(until)} it ends without having changed anything.",
    ]
    return _message(execution, f"waits for your approval: {_name(execution)}", lines, origin=origin, at=at, mood="failure")


def ended_message(execution: Execution, origin: Origin, at: datetime) -> Message:
    """Tell how an execution ended."""
    good = execution.status == "success"
    lines = [*_steps(execution)]
    if execution.error:
        lines.insert(0, f"Why: {execution.error}")
    if not good:
        lines.append(f"What to do: {how_to_go_on(execution)}")
    return _message(
        execution, f"{_ended(execution)}: {_name(execution)}", lines, origin=origin, at=at, mood="success" if good else "failure"
    )


def _ended(execution: Execution) -> str:
    if execution.status != "success":
        return "was done in part, then failed" if execution.status == "partial" else "failed, nothing was done"
    if any(one.state == "left out" for one in execution.steps):
        return "had nothing to recover"
    return "is done"


def _message(execution: Execution, what: str, lines: list[str], *, origin: Origin, at: datetime, mood: Mood = "info") -> Message:
    drill = "Drill" if execution.mode == "drill" else "Recovery"
    body = "\n".join([*lines, f"Execution: {execution.id}"])
    return Message(f"[{origin.name}] {drill} {what}"[:120], f"{body}\n\n{origin.signed(at)}", mood)


def _name(execution: Execution) -> str:
    return str(execution.plan.get("name") or execution.plan_id)


def _cause(execution: Execution) -> str:
    facts = ", ".join(f"{name} {value}" for name, value in execution.facts.items() if isinstance(value, str | int | float))
    return f"What started it: {execution.trigger}" + (f" ({facts})" if facts else "")


def _steps(execution: Execution) -> Iterator[str]:
    for one in execution.steps:
        yield f"{_MARKS.get(one.state, one.state)}: {one.name}{_said(one)}"


def _said(one: StepRecord) -> str:
    text = one.error if one.state == "failed" else one.summary
    return f": {text}" if text else ""
