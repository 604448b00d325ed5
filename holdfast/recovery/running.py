"""An execution as a value that moves on: begun, resumed, a step begun, done or failed, ended. Nothing here does anything.

What an execution ends as: `success`, all was done or need not be; `partial`, something was done, then a step failed; `failed`,
nothing was done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from holdfast.errors import PlanInvalidError, RefusedError
from holdfast.recovery.execution import APPROVAL, FINISHED, Execution, Status, StepRecord
from holdfast.recovery.ordering import VERDICT, before, in_order, ready, verdicts, verdicts_before
from holdfast.recovery.plan import Plan, Step, read_plan
from holdfast.recovery.step_type import Outcome
from holdfast.recovery.steps import step_types, type_of
from holdfast.repository import canonical

Json = dict[str, Any]

FRESH = timedelta(minutes=10)
"""After this long what an assessment found counts no more, as long as nothing was changed: the system may be well again."""

ASKED_ABOUT = "askedAbout"
"""The key of an execution's metadata that says how things were when a person was asked."""

ROLLED_BACK_AT = "rolledBackAt"
"""The key of an execution's metadata that says when it was rolled back, until it is resumed."""

INTERRUPTED = "it was interrupted"


def begun(plan: Plan, execution_id: str, *, trigger: str, mode: str, facts: Json, forced: bool, at: datetime) -> Execution:
    """Begin an execution of a plan."""
    steps = tuple(StepRecord(step.id, step.name, step.type) for step in in_order(plan))
    return Execution(execution_id, plan.id, trigger, mode, at, steps=steps, facts=facts, plan=plan.document(), forced=forced)


def resumed(execution: Execution, at: datetime) -> Execution:
    """Take an execution up again: what is finished stays so, everything else waits. Raises RefusedError."""
    if execution.status == "success":
        raise RefusedError(f"the execution {execution.id} has ended well", reason="nothing of it is left to do")
    metadata = {name: value for name, value in execution.metadata.items() if name != ROLLED_BACK_AT}
    again = replace(execution, status="running", completed_at=None, error=None, metadata=metadata)
    for record in again.steps:
        if record.state not in FINISHED:
            again = again.with_step(replace(record, state="waiting", completed_at=None, summary=None, error=None))
    return _looked_at_again(again, at)


def plan_of(execution: Execution) -> Plan:
    """Read the plan as it was when the execution began. Raises PlanInvalidError."""
    try:
        return read_plan(execution.plan)
    except PlanInvalidError as error:
        error.next_step = "A type of step may be missing here that there was when it began; start the plan anew"
        raise


def step_begun(record: StepRecord, at: datetime) -> StepRecord:
    """Begin an attempt."""
    return replace(record, state="running", attempts=record.attempts + 1, started_at=record.started_at or at, completed_at=None)


def step_done(record: StepRecord, outcome: Outcome, at: datetime) -> StepRecord:
    """End a step as its outcome says."""
    verdict = {} if outcome.verdict is None else {VERDICT: outcome.verdict.document()}
    return replace(
        record,
        state="done" if outcome.needed else "not needed",
        completed_at=at,
        summary=outcome.summary,
        output={**outcome.output, **verdict},
        notes=outcome.notes,
        error=None,
        undo=outcome.undo,
    )


def step_failed(record: StepRecord, error: str, at: datetime) -> StepRecord:
    """End a step that could not be done."""
    return replace(record, state="failed", completed_at=at, error=error)


def step_undone(record: StepRecord, outcome: Outcome, at: datetime) -> StepRecord:
    """Note that what a step did is undone."""
    return replace(record, state="undone", completed_at=at, summary=outcome.summary, notes=outcome.notes, undo=None)


def may_begin(plan: Plan, execution: Execution, at_work: Mapping[str, Step]) -> list[Step]:
    """List the steps to begin now, beside those at work: nothing is changed before all assessments that can look have looked."""
    found = [step for step in ready(plan, execution) if step.id not in at_work]
    looking = any(type_of(step).assesses for step in (*at_work.values(), *found))
    return [step for step in found if not looking or not type_of(step).changes]


def reasons_to_ask(plan: Plan, execution: Execution, changes: list[Step] | None = None) -> list[str]:
    """Say why a person has to agree before the next steps, or these, change something; nothing where nobody has to."""
    if execution.mode == "drill":
        return []
    ahead = [step for step in ready(plan, execution) if type_of(step).changes] if changes is None else changes
    if execution.approved_by is not None:
        return list(_not_agreed_to(execution)) if ahead else []
    asks = [one.ask for step in ahead for one in verdicts_before(plan, execution, step).values() if one.ask]
    wanted = [f"the plan {plan.id} says so"] if plan.requires_approval else []
    return [*wanted, *dict.fromkeys(asks)] if ahead else []


def asked_about(execution: Execution, **noted: Any) -> Execution:
    """Note what a person is asked about: the answer is for that, and for no other trouble."""
    found = {one.subject: {"state": one.state, "affected": list(one.affected)} for one in verdicts(execution)}
    metadata = {**execution.metadata, **noted, ASKED_ABOUT: found}
    return replace(execution, waiting_for=APPROVAL, approved_by=None, metadata=metadata)


def _not_agreed_to(execution: Execution) -> Iterator[str]:
    """Say what is another trouble now than the one that a person was asked about; nothing where nobody was asked."""
    asked = execution.metadata.get(ASKED_ABOUT, {})
    now = {one.subject: one for one in verdicts(execution)}
    for one in (now[subject] for subject in asked if subject in now):
        before = asked[one.subject]
        covers = not before["affected"] or (one.affected and set(one.affected) <= set(before["affected"]))
        if one.is_to_be_recovered and not (one.state == before["state"] and covers):
            yield f"the {one.subject} was {before['state']} when it was asked about, and now it is {one.state}: {one.reason}"


def is_outdated(plan: Plan, execution: Execution, step: Step, at: datetime) -> bool:
    """Tell whether what was found before this attempt at a step may no longer be so."""
    looked = [execution.step(one.id).completed_at for one in before(plan, step) if type_of(one).assesses]
    return execution.step(step.id).attempts > 1 or any(when is not None and not _is_fresh(when, at) for when in looked)


def changes_ahead(plan: Plan, execution: Execution) -> list[Step]:
    """List the steps that would change something and are still waiting."""
    return [step for step in in_order(plan) if type_of(step).changes and execution.step(step.id).state == "waiting"]


def touched(plan: Plan) -> list[str]:
    """Name all that the steps of a plan work on, sorted."""
    kinds = [(type_of(step), step) for step in plan.steps]
    return sorted({name for kind, step in kinds for name in kind.touches(kind.read(step))})


def to_undo(plan: Plan, execution: Execution) -> list[Step]:
    """List the steps that can be undone, the last one done first, so that none is undone before what was built on it."""
    at: dict[str, datetime] = {}
    for step in in_order(plan):  # what waited for another was done after it, whatever a clock that was set back says
        done_at = execution.step(step.id).completed_at or execution.started_at
        at[step.id] = max([done_at, *(at[one] for one in step.dependencies)])
    undoable = [step for step in reversed(in_order(plan)) if execution.step(step.id).undo is not None]
    return sorted(undoable, key=lambda step: at[step.id], reverse=True)


def ended(execution: Execution, at: datetime, error: str | None = None) -> Execution:
    """End an execution as its steps say; `error` is why it ended before they were all done."""
    steps = tuple(step_failed(one, error or INTERRUPTED, at) if one.state == "running" else one for one in execution.steps)
    failed = next((one for one in steps if one.state == "failed"), None)
    said = error or (f"{failed.name}: {failed.error}" if failed else None)
    done = [one for one in steps if one.state == "done" and (failed is not None or _changes(one))]
    status: Status = "success" if said is None else "partial" if done else "failed"
    metadata = execution.metadata | (timed(execution, at) if execution.mode == "drill" else {})
    return replace(execution, steps=steps, status=status, completed_at=at, error=said, waiting_for=None, metadata=metadata)


def timed(execution: Execution, at: datetime) -> Json:
    """Compare the time that a drill took with what its plan estimates."""
    took = (at - execution.started_at).total_seconds()
    estimated = int(execution.plan["estimatedRecoveryTime"]) * 60
    return {"measuredSeconds": round(took, 1), "estimatedSeconds": estimated, "withinEstimate": took <= estimated}


def rolled_back(execution: Execution, at: datetime) -> Execution:
    """Note that what could be undone of an execution was: where something that it did is still in force it is `partial`."""
    still = [one for one in execution.steps if one.state == "done" and _changes(one)]
    said = "it was rolled back" + (f", but for {', '.join(one.name for one in still)}" if still else "")
    metadata = {**execution.metadata, ROLLED_BACK_AT: canonical.time_text(at)}
    status: Status = "partial" if still else "failed"
    return replace(execution, status=status, completed_at=at, error=said, waiting_for=None, metadata=metadata)


def how_to_go_on(execution: Execution) -> str:
    """Say what a person can do after an execution that did not end well."""
    said = f"'holdfast recover --resume {execution.id}' goes on where it stopped"
    if any(one.undo is not None for one in execution.steps):
        said += f", 'holdfast recover --roll-back {execution.id}' undoes what was done"
    return said


def what_is_left(execution: Execution) -> str:
    """Say how far an execution came."""
    done = [one.name for one in execution.steps if one.state in FINISHED]
    left = [one.name for one in execution.steps if one.state not in FINISHED]
    return f"done: {', '.join(done) or 'nothing'}; left: {', '.join(left) or 'nothing'}"


def _is_fresh(found_at: datetime, at: datetime) -> bool:
    """Tell whether something was found just now; what is said to be in the future is not: the clock was set back."""
    return timedelta() <= at - found_at <= FRESH


def _changes(record: StepRecord) -> bool:
    kind = step_types().get(record.type)
    return kind is None or kind.changes


def _looked_at_again(execution: Execution, at: datetime) -> Execution:
    """Have old assessments look again, where nothing was changed yet; an approval of what they found ends, too."""
    plan = plan_of(execution)
    looked = [execution.step(step.id) for step in plan.steps if type_of(step).assesses]
    old = [one for one in looked if one.state in FINISHED and one.completed_at and not _is_fresh(one.completed_at, at)]
    if not old or any(execution.step(step.id).state in FINISHED for step in plan.steps if type_of(step).changes):
        return execution
    for record in old:
        execution = execution.with_step(replace(record, state="waiting", completed_at=None, summary=None, output={}))
    return replace(execution, approved_by=None)
