"""Texts of plans in which `{names}` stand for what is known of an execution.

A name is looked up in what is given and nowhere else: there is no way from it to anything of Python, and no format to choose.
What looks like a secret is masked, for facts come from whoever emitted the event.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from holdfast.recovery.facts import is_shown
from holdfast.secret_texts import MASK

if TYPE_CHECKING:
    from holdfast.recovery.step_type import Work

NAMES = ("plan", "plan_id", "trigger", "status", "found", "step", "mode", "execution", "priority", "target")
_OPEN = ("facts",)
"""What has names of its own below it, which nobody knows before."""

_FIELD = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_LONGEST = 500
_UNKNOWN = "–"


def problems(text: str) -> Iterator[str]:
    """Tell what of a text can't be filled in."""
    for found in _FIELD.finditer(text):
        if found[0] in ("{{", "}}"):
            continue
        name = found[1]
        if name is None:
            yield f"a single {found[0]!r}; write it twice where it is meant"
        elif not _NAME.fullmatch(name) or not _is_known(name):
            yield f"{{{name[:40]}}} stands for nothing; known are {', '.join(f'{{{one}}}' for one in NAMES)} and {{facts.NAME}}"


def filled(text: str, values: Mapping[str, Any]) -> str:
    """Fill a text in; what is not known now is a dash."""

    def one(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0][:1]
        return _shown(found[1], _value(found[1], values))

    return _FIELD.sub(one, text)


def values_of(work: Work) -> dict[str, Any]:
    """Name what is known of an execution while a step is at work."""
    verdicts = work.verdicts.values()
    return {
        "plan": work.plan.name,
        "plan_id": work.plan.id,
        "trigger": work.trigger,
        "status": "; ".join(f"{one.subject} {one.state}" for one in verdicts) or "running",
        "found": " ".join(f"{one.reason.rstrip('.')}." for one in verdicts) or "Nothing was assessed.",
        "step": work.step.name,
        "mode": work.mode,
        "execution": work.execution_id,
        "priority": work.plan.priority,
        "target": work.world.settings.target or _UNKNOWN,
        "facts": work.facts,
    }


def _is_known(name: str) -> bool:
    first, dot, _ = name.partition(".")
    return first in _OPEN if dot else name in NAMES


def _value(name: str, values: Mapping[str, Any]) -> Any:
    found: Any = values
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _shown(name: str, value: Any) -> str:
    if value is None:
        return _UNKNOWN
    text = ", ".join(str(one) for one in value) if isinstance(value, list | tuple) else str(value)
    if name.startswith(_OPEN) and not is_shown(name.rpartition(".")[2], text):
        return MASK
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
