"""How things stand: for each subject of a plan one module that looks, changes nothing, and returns a verdict."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError, TimeLimitError
from holdfast.recovery.verdict import Subject, Verdict

if TYPE_CHECKING:
    from holdfast.recovery.deadline import Deadline
    from holdfast.recovery.world import World

_MODULES: dict[Subject, str] = {
    "database": "database",
    "function": "functions",
    "config": "configuration",
    "secrets": "secrets",
    "services": "services",
}


def assess(subject: Subject, world: World, deadline: Deadline, *, thorough: bool) -> Verdict:
    """Look at a subject. `thorough` reads all of it; otherwise the look is one that may be done every minute.

    What hinders the look is a verdict, too (`unknown`). Raises TimeLimitError.
    """
    deadline.require()
    module = importlib.import_module(f"{__name__}.{_MODULES[subject]}")
    try:
        verdict: Verdict = module.assess(world, deadline, thorough=thorough)
    except TimeLimitError:
        raise
    except HoldfastError as error:
        return Verdict(subject, "unknown", f"it could not be looked at: {error.what_and_why}")
    return verdict
