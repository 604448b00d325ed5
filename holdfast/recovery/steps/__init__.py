"""The types of steps: every module beside this one is one, so that another is added by writing one file."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

from holdfast.recovery.plan import Step
from holdfast.recovery.step_type import StepType


def step_types() -> dict[str, StepType[Any]]:
    """Return every type by its name."""
    modules = sorted(one.name for one in pkgutil.iter_modules(__path__, f"{__name__}."))
    found = [importlib.import_module(name).TYPE for name in modules]
    return {one.name: one for one in found}


def type_of(step: Step) -> StepType[Any]:
    """Return the type of a step of a plan that was checked. Raises KeyError."""
    return step_types()[step.type]


def problems_of(step: Step) -> Iterator[str]:
    """Tell what is wrong with a step by itself: its type, its parameters, its timeout."""
    types = step_types()
    if step.type not in types:
        yield f"there is no type of step {step.type!r}; the types are {', '.join(sorted(types))}"
        return
    yield from types[step.type].problems(step)
