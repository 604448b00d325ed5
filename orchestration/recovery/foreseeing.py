"""What an execution would do, without doing it: things are really assessed, which changes nothing; each step says the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError
from holdfast.recovery.deadline import Deadline
from holdfast.recovery.running import changes_ahead, reasons_to_ask
from holdfast.recovery.steps import type_of
from orchestration.masking import masked_all
from orchestration.recovery.execution import STAKES_MINUTES

if TYPE_CHECKING:
    from holdfast.recovery.plan import Step
    from orchestration.recovery.execution import Executing

Json = dict[str, Any]


def foreseen(work: Executing) -> Json:
    """Assess, and describe the execution with what each step `would` do; `asks` is why a person would have to agree."""
    work.carry_out(only_assess=True)
    execution = work.execution
    deadline = Deadline(STAKES_MINUTES * 60, "the look at what would be done")
    steps = [
        one.document() | {"would": _would(work, work.plan.step(one.id), deadline) if one.state == "waiting" else []}
        for one in execution.steps
    ]
    asks = reasons_to_ask(work.plan, execution, changes_ahead(work.plan, execution))
    found: Json = masked_all(execution.document() | {"status": "planned", "steps": steps, "asks": asks})
    return found


def _would(work: Executing, step: Step, deadline: Deadline) -> list[str]:
    kind = type_of(step)
    try:
        return kind.foresee(work.work(step, deadline), kind.read(step))
    except HoldfastError as error:
        return [f"it can't be told now what it would do: {error.what_and_why}"]
