"""What a restore goes by: the verdict of the assessment before, or a look of its own where there was none or it may be outdated.

What only a person can decide is not decided here: where a look of its own finds that, the step stops before anything is changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import ApprovalNeededError, RefusedError
from holdfast.recovery.assessing import assess

if TYPE_CHECKING:
    from holdfast.recovery.step_type import Work
    from holdfast.recovery.verdict import Subject, Verdict


def verdict_for(work: Work, subject: Subject) -> Verdict:
    """Return what the assessment before found, or look. Raises RefusedError where it can't be judged, ApprovalNeededError."""
    known = None if work.outdated else work.verdicts.get(subject)
    return known if known is not None else judged(work, look(work, subject))


def look(work: Work, subject: Subject) -> Verdict:
    """Look at a subject thoroughly, now. Raises TimeLimitError."""
    return assess(subject, work.world, work.deadline, thorough=True)


def judged(work: Work, found: Verdict) -> Verdict:
    """Return what a look of the step's own found, where it may be acted on without asking anybody."""
    if work.forced:
        return found
    if found.state == "unknown":
        raise RefusedError(
            f"whether the {found.subject} needs to be brought back can't be told, so nothing was changed",
            reason=found.reason,
            next_step="Mend what hinders the look; or, to bring it back all the same, run: "
            f"holdfast recover {work.plan.id} --force",
        )
    known = work.verdicts.get(found.subject)
    if found.ask and not work.plan.requires_approval and not (known is not None and known.ask):
        raise ApprovalNeededError(
            f"the {found.subject} is {found.state} ({found.reason}), and a person has to decide; nothing was changed",
            reason=found.ask,
            next_step=f"'holdfast recover {work.plan.id}' looks again, and asks where the plan has an assessment; with --force "
            "it does not ask",
        )
    return found


def is_left_alone(work: Work, verdict: Verdict) -> bool:
    """Tell whether nothing is to be done."""
    return not (work.forced or verdict.is_to_be_recovered)
