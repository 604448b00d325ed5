"""What of a plan can be done next, and what is left out: dependencies decide, then `order`, then the place in the plan.

Two things leave a step out. What it waits for failed; or an assessment before it found nothing to recover, so that nothing is
changed. Whoever only tells people is heard all the same, unless all is well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from holdfast.recovery.execution import FINISHED, Execution, StepRecord
from holdfast.recovery.plan import Plan, Step
from holdfast.recovery.steps import type_of
from holdfast.recovery.verdict import Subject, Verdict

VERDICT = "verdict"
"""The key of a record's output where what an assessment found is kept."""


def in_order(plan: Plan) -> list[Step]:
    """Sort the steps of a plan so that each stands behind what it waits for."""
    left = sorted(plan.steps, key=lambda step: step.order)
    found: list[Step] = []
    while left:
        known = {step.id for step in found}
        free = next(step for step in left if known.issuperset(step.dependencies))
        found.append(free)
        left.remove(free)
    return found


def before(plan: Plan, step: Step) -> list[Step]:
    """List all steps that this one waits for, directly or not, in order."""
    wanted, open_ids = set[str](), [*step.dependencies]
    while open_ids:
        step_id = open_ids.pop()
        if step_id not in wanted:
            wanted.add(step_id)
            open_ids += plan.step(step_id).dependencies
    return [one for one in in_order(plan) if one.id in wanted]


def verdicts_before(plan: Plan, execution: Execution, step: Step) -> dict[Subject, Verdict]:
    """Return what the assessments before a step have found; of two about one subject the later one counts."""
    found = (_verdict(execution.step(one.id)) for one in before(plan, step))
    return {verdict.subject: verdict for verdict in found if verdict is not None}


def verdicts(execution: Execution) -> list[Verdict]:
    """List what all assessments have found so far."""
    return [verdict for one in execution.steps if (verdict := _verdict(one)) is not None]


def ready(plan: Plan, execution: Execution) -> list[Step]:
    """List the steps that can be done now, after what is to be left out was left out; assessments first."""
    waiting = [step for step in in_order(plan) if execution.step(step.id).state == "waiting" and _is_free(step, execution)]
    return sorted(waiting, key=lambda step: not type_of(step).assesses)


def with_left_out(plan: Plan, execution: Execution) -> Execution:
    """Leave out what can't be done any more, and what need not be done, and say why."""
    for step in in_order(plan):
        record = execution.step(step.id)
        if record.state == "waiting" and (why := _why_left_out(plan, execution, step)):
            execution = execution.with_step(replace(record, state="left out", summary=why, error=None))
    return execution


def is_well(plan: Plan, execution: Execution, step: Step) -> bool:
    """Tell whether assessments before this step have looked, and found nothing that has to be recovered."""
    if execution.forced or execution.mode == "drill":
        return False
    looked = [execution.step(one.id) for one in before(plan, step) if type_of(one).assesses]
    found = verdicts_before(plan, execution, step).values()
    return bool(found) and all(one.state in FINISHED for one in looked) and not any(one.is_to_be_recovered for one in found)


def _verdict(record: StepRecord) -> Verdict | None:
    document = record.output.get(VERDICT)
    return Verdict.of(document) if record.state in FINISHED and isinstance(document, dict) else None


def _is_free(step: Step, execution: Execution) -> bool:
    enough = {*FINISHED, "left out"} if type_of(step).tells else FINISHED
    return all(execution.step(one).state in enough for one in step.dependencies)


def _why_left_out(plan: Plan, execution: Execution, step: Step) -> str | None:
    kind, well = type_of(step), is_well(plan, execution, step)
    for record in (execution.step(one) for one in step.dependencies):
        if record.state == "failed":
            return f"{record.name} failed"
        if record.state == "left out" and not (kind.tells and well):
            return f"{record.name} was left out"
    if not well:
        return None
    if kind.changes:
        return f"nothing has to be recovered: {' '.join(_reasons(plan, execution, step))}"
    if kind.tells and all(one.state == "healthy" for one in verdicts_before(plan, execution, step).values()):
        return "all is well, so there is nothing to tell"
    return None


def _reasons(plan: Plan, execution: Execution, step: Step) -> Iterator[str]:
    for verdict in verdicts_before(plan, execution, step).values():
        yield verdict.reason if verdict.reason.endswith(".") else f"{verdict.reason}."
