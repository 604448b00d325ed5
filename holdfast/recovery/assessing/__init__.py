"""How things stand: for each subject of a plan one module that looks, changes nothing, and returns a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.recovery.verdict import Subject, Verdict

if TYPE_CHECKING:
    from holdfast.recovery.deadline import Deadline
    from holdfast.recovery.world import World


def assess(subject: Subject, world: World, deadline: Deadline, *, thorough: bool) -> Verdict:
    """Look at a subject. `thorough` reads all of it; otherwise the look is one that may be done every minute.

    What hinders the look is a verdict, too (`unknown`). Raises TimeLimitError.
    """
    raise NotImplementedError
