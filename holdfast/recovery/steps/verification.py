"""The step type `verification`: the same look as before the work, after it; it fails where the subject is not well.

What takes a moment to answer again is looked at until it does. In a drill nothing live was brought back, so it looks at what
became of the rehearsal: the proof that it left.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from holdfast import figures
from holdfast.errors import NotProvenError, WorkFailedError
from holdfast.recovery.step_type import Outcome, StepType, Work
from holdfast.recovery.steps.assessment import LOOKS_FROM_OUTSIDE, LookParameters, look
from holdfast.recovery.verdict import CALLED, State, Subject, Verdict
from holdfast.repository import Level
from holdfast.repository.proof import best_level

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.recovery.outside import Rule
    from holdfast.recovery.plan import Step

Json = dict[str, Any]

_PAUSE_SECONDS = 2.0
_TAKES_A_MOMENT: frozenset[Subject] = frozenset({"function", "services"})
_BROUGHT_BACK: frozenset[Level | None] = frozenset({"restored", "proven"})
_WELL: frozenset[State] = frozenset({"healthy", "slow"})


class Verification(StepType[LookParameters]):
    """Looks whether the work has helped."""

    name = "verification"
    minutes = (1, 60)
    parameters = LookParameters
    changes: ClassVar[bool] = False
    outside: ClassVar[Mapping[str, Rule]] = LOOKS_FROM_OUTSIDE

    def foresee(self, work: Work, parameters: LookParameters) -> list[str]:
        if work.is_drill:
            return [f"see what became of the rehearsal of {CALLED[parameters.of]}"]
        return [f"look at {CALLED[parameters.of]} again, and fail where not all is well"]

    def run(self, work: Work, parameters: LookParameters) -> Outcome:
        if work.is_drill:
            return _of_rehearsal(work, parameters)
        verdict = _looked(work, parameters)
        if verdict.state not in _WELL:
            raise WorkFailedError(
                f"the {parameters.of} is not well: it is {verdict.state}",
                reason=verdict.reason,
                next_step=f"See 'holdfast recover {work.plan.id} --mode plan' for what there is to do now",
            )
        return Outcome(_said(verdict), {"found": verdict.document()}, tuple(_notes(verdict)))


def _looked(work: Work, parameters: LookParameters) -> Verdict:
    """Look, and look again for a while where what was just started may not answer yet."""
    patience = time.monotonic() + min(work.world.settings.functions_call_seconds, work.deadline.seconds_left / 2)
    while True:
        verdict = look(work, parameters, work.deadline)
        waits = parameters.of in _TAKES_A_MOMENT and verdict.state in {"failing", "unreachable", "incomplete"}
        if not waits or time.monotonic() + _PAUSE_SECONDS > patience:
            return verdict
        time.sleep(_PAUSE_SECONDS)


def _said(verdict: Verdict) -> str:
    evidence = verdict.evidence
    if verdict.subject == "database" and "rows" in evidence:
        return f"{figures.count(evidence['tables'], 'table')} with {evidence['rows']:,} rows can be read; {verdict.reason}"
    return verdict.reason


def _notes(verdict: Verdict) -> list[str]:
    notes = ["it is slow, and whole"] if verdict.state == "slow" else []
    if verdict.subject == "secrets":
        waiting, changed = verdict.evidence.get("placeholders", []), verdict.evidence.get("changed", [])
        notes += [f"these wait for a value from you: {', '.join(waiting)}"] if waiting else []
        notes += [f"these have another value than in the newest backup: {', '.join(changed)}"] if changed else []
    return notes


def _of_rehearsal(work: Work, parameters: LookParameters) -> Outcome:
    """Require that each rehearsal of the subject before this step has left a good proof."""
    outputs = [work.outcomes[step.id] for step in work.plan.steps if step.id in work.outcomes and _is_about(step, parameters.of)]
    rehearsed = [one for one in outputs if "verificationId" in one]
    proofs = [_proof(work, one) for one in rehearsed]
    if not proofs:
        return Outcome(
            f"nothing of the {parameters.of} was brought back in this drill, so there is nothing to verify", needed=False
        )
    said = "; ".join(f"backup {one['backupId']} came back, and is {one['level']}" for one in proofs)
    return Outcome(said, {"proofs": proofs, "restoreSeconds": [one.get("restoreSeconds") for one in rehearsed]})


def _is_about(step: Step, subject: Subject) -> bool:
    return subject in {step.parameters.get("backupType"), step.parameters.get("backup_type")}


def _proof(work: Work, output: Json) -> Json:
    backup_id = str(output["backupId"])
    proofs = work.world.repository.proofs(backup_id)
    if proofs and not proofs[0].ok:
        raise NotProvenError(
            f"backup {backup_id} did not come back as it was",
            reason="; ".join(proofs[0].problems[:5]) or None,
            next_step=f"'holdfast verify {backup_id} --level proven' shows all problems",
        )
    level = best_level(proofs)
    if level not in _BROUGHT_BACK:
        raise NotProvenError(f"the rehearsal of backup {backup_id} has left no proof", reason=f"it is proven to be {level}")
    return {"backupId": backup_id, "level": level, "verificationId": output["verificationId"]}


TYPE = Verification()
