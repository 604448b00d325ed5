"""Executions of recovery plans as text, for a person under stress: what was done, what is left, how to go on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from cli import figures, jobs, output

if TYPE_CHECKING:
    from rich.console import RenderableType

    from holdfast.recovery.execution import StepRecord

Document = dict[str, Any]

_MARKS = {"done": "✓", "not needed": "✓", "failed": "✗", "undone": "↶"}
_STATUS = {
    "success": "is done",
    "failed": "failed, and changed nothing",
    "partial": "was done in part, then failed",
    "planned": "was only looked at; nothing was changed",
    "left to another": "is being seen to already; nothing was begun",
}
_LONGEST_WHY = 120
_GOOD = {"success": True, "failed": False, "partial": False}


def step_line(record: StepRecord) -> str | None:
    """Tell of a step that has just begun, or ended."""
    if record.state == "running":
        if record.error:
            why = shorten(record.error, _LONGEST_WHY, placeholder=" …")  # all of it is told where the step ends
            return f"  {record.name}: attempt {record.attempts} failed: {why}"
        return f"  {record.name} ..."
    if record.state == "waiting":
        return None
    return f"  {_MARKS.get(record.state, '–')} {record.name}: {record.state}"


def ended(found: Document) -> Iterator[RenderableType]:
    """Tell what came of an execution, or what would."""
    name = str(found["plan"].get("name") or found["planId"])
    back = found["mode"] != "plan" and bool(found["metadata"].get("rolledBackAt")) and found["status"] != "success"
    said = str(found["error"]).removeprefix("it ") if back else _STATUS.get(found["status"], found["status"])
    took = figures.duration(found["durationMs"] / 1000) if found["durationMs"] is not None else None
    good = (True if found["status"] == "failed" else None) if back else _GOOD.get(found["status"])
    yield jobs.headline(name, f"{said}{f', in {took}' if took and not back else ''}", good=good)
    if found.get("note"):
        yield f"  {found['note']}"
    for step in found["steps"]:
        yield from _step(step)
    yield from (f"  A person would have to agree: {reason}" for reason in found.get("asks", []))
    if found["error"] and not back and all(step["outcome"] != "failed" for step in found["steps"]):
        yield f"  Why: {found['error']}"
    if not back:
        yield from (f"  {line}" for line in _next(found))


def answered(document: Document) -> RenderableType:
    """Tell what was answered to an execution that waited."""
    if document["approved"]:
        return jobs.headline(document["executionId"], "is approved; it goes on as soon as a worker takes it")
    return jobs.headline(document["executionId"], "is refused; it ends without having changed anything", good=None)


def listed(documents: Sequence[Document]) -> RenderableType:
    """Show executions as a table."""
    if not documents:
        return "No recovery plan was executed yet."
    table = output.table("Execution", "Plan", "Began (UTC)", "Mode", "Status", "Took", right=("Took",), whole=("Execution",))
    for one in documents:
        waits = f", waits for {one['waitingFor']}" if one["waitingFor"] else ""
        waits += ", rolled back" if one["metadata"].get("rolledBackAt") and one["status"] != "success" else ""
        took = figures.duration(one["durationMs"] / 1000) if one["durationMs"] is not None else "–"
        began = figures.minute(jobs.when(one["startedAt"]))
        table.add_row(one["executionId"], one["planId"], began, one["mode"], f"{one['status']}{waits}", took)
    return table


def _step(step: Document) -> Iterator[str]:
    mark = _MARKS.get(step["outcome"], "–")
    word = "would be done" if step.get("would") else step["outcome"]
    attempts = f", after {step['attempts']} attempts" if step["attempts"] > 1 and step["outcome"] != "undone" else ""
    failed = step["outcome"] == "failed"
    summary = "" if failed or not step["summary"] else f" ({step['summary']})"
    yield f"  {mark} {step['name']}: {word}{attempts}{summary}"
    yield from (f"      {line}" for line in [*([step["error"]] if failed else []), *step.get("would", []), *step["notes"]])


def _next(found: Document) -> Iterator[str]:
    if found["mode"] == "plan":
        if any(step.get("would") for step in found["steps"]):
            yield f"Do it: holdfast recover {found['planId']}"
        return
    if found["status"] in ("failed", "partial"):
        yield f"Go on where it stopped: holdfast recover --resume {found['executionId']}"
    if any(step["undo"] is not None for step in found["steps"]):
        yield f"Undo what was done:     holdfast recover --roll-back {found['executionId']}"
