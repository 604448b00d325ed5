"""What a plan that comes from outside, by the HTTP API, may hold: choices, names of blocks, and words for people.

Who may change plans there has no shell on this host, and must not get one by a plan: no command, no path, no address that a
block does not define. Each type of step says beside itself what each of its parameters may be (`StepType.outside`); a type or a
parameter of which nothing is said is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from holdfast.errors import PlanNotAllowedError
from holdfast.recovery.facts import is_secrets_name

if TYPE_CHECKING:
    from holdfast.recovery.plan import Plan, Step

Rule = Callable[[Any, Any], str | None]
"""Says of a value, beside all parameters of its step, why it may not come from outside; None where it may."""

EVERY = "*"
_BLOCK = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_SECRET = re.compile(r"(?:[a-z0-9]+(?:-[a-z0-9]+)*/){1,2}\S{1,200}")
_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_HOW = "On the host itself, whoever may work there adds it: holdfast plans add FILE"


def chosen(value: Any, parameters: Any) -> str | None:
    """Let through what the type itself has a few values for, or a truth value."""
    del value, parameters
    return None


def words(value: Any, parameters: Any) -> str | None:
    """Let through a text that people read, and nothing else does."""
    del value, parameters
    return None


def block(value: Any, parameters: Any) -> str | None:
    """Let through the name of a block."""
    del parameters
    if value is None or (isinstance(value, str) and _BLOCK.fullmatch(value)):
        return None
    return "only the name of a block may stand there, of small letters, digits and '-': no address, and no path"


def names(value: Any, parameters: Any) -> str | None:
    """Let through names of blocks."""
    return next((why for one in value if (why := block(one, parameters))), None)


def services(value: Any, parameters: Any) -> str | None:
    """Let through names of managed services, which are blocks, and `*`."""
    return names([one for one in value if one != EVERY], parameters)


def backup(value: Any, parameters: Any) -> str | None:
    """Let through the id of a backup."""
    del parameters
    return None if value is None or _JOB_ID.fullmatch(str(value)) else "only the id of a backup may stand there"


def secrets_names(value: Any, parameters: Any) -> str | None:
    """Let through names of secrets at a provider of the settings."""
    del parameters
    named = all(_SECRET.fullmatch(one) and is_secrets_name(one) for one in value)
    return None if named else "only names of secrets may stand there, each as provider/name"


def refused(why: str) -> Rule:
    """Let nothing through, and say why."""
    return lambda value, _: why if value else None


def require_allowed(plan: Plan) -> None:
    """Raise PlanNotAllowedError, which names all that this plan holds and none from outside may."""
    if problems := dict(_problems(plan)):
        error = PlanNotAllowedError(
            f"The recovery plan {plan.id} may not come from outside",
            reason="\n".join(f"{where}: {why}" for where, why in problems.items()),
            next_step=_HOW,
        )
        error.fields = problems
        raise error


def _problems(plan: Plan) -> Iterator[tuple[str, str]]:
    for step in plan.steps:
        yield from ((f"steps.{step.id}{where}", why) for where, why in _of_step(step))


def _of_step(step: Step) -> Iterator[tuple[str, str]]:
    from holdfast.recovery.steps import type_of

    kind = type_of(step)
    if kind.outside is None:
        yield ".type", f"nothing says that a plan from outside may have a step of the type {step.type}"
        return
    parameters = kind.read(step)
    for name in sorted(parameters.model_fields_set):
        rule = kind.outside.get(name, _unsaid)
        if why := rule(getattr(parameters, name), parameters):
            yield f".parameters.{type(parameters).model_fields[name].alias or name}", why


def _unsaid(value: Any, parameters: Any) -> str:
    del value, parameters
    return "nothing says what may stand there in a plan from outside"
