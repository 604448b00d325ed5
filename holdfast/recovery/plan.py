"""A recovery plan as data: the guide's structure, checked whole, so that no plan fails at night for what could be seen by day.

What is read is camelCase, as the guide, the tables, YAML and the HTTP API have it. `read_plan` tells everything that is wrong at
once. Whether the parameters of a step are right is asked of its type (`steps`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_serializer, field_validator
from pydantic.alias_generators import to_camel

from holdfast.errors import PlanInvalidError

Json = dict[str, Any]
Priority = Literal["low", "medium", "high", "critical"]
PRIORITIES: tuple[Priority, ...] = ("critical", "high", "medium", "low")
"""The most urgent first."""

TEST_TRIGGER = "test_trigger"
"""The guide's trigger that makes any execution a drill; no event of a plan may be called so."""

_ID = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"
_WORDS = {
    "extra_forbidden": "there is no such field",
    "missing": "it is missing",
    "string_pattern_mismatch": "at most 100 letters, digits, '.', '_' and '-', the first a letter or a digit",
    "string_too_short": "it is empty",
}
"""What pydantic says in words of its own."""
_TRIGGER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")
_MOST_MINUTES = 24 * 60
_DEEPEST = 20


class Record(BaseModel):
    """What plans and parameters of steps are made of: camelCase outside, closed to names that mean nothing."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, str_strip_whitespace=True
    )

    def document(self) -> Json:
        """Describe it as it was read."""
        return self.model_dump(mode="json", by_alias=True)


class Step(Record):
    """One step of a plan."""

    id: str = Field(pattern=_ID)
    name: str = Field(min_length=1, max_length=200)
    description: str = ""
    type: str
    order: int = Field(ge=0)
    timeout: float = Field(gt=0, le=_MOST_MINUTES)
    """Minutes that one attempt may take."""
    timeout_reason: str | None = None
    """Why the timeout is outside what the guide gives for the type; without a reason it may not be."""
    retry_count: int = Field(0, ge=0, le=20)
    dependencies: tuple[str, ...] = ()
    parameters: Json = {}

    @field_validator("parameters")
    @classmethod
    def _is_json(cls, value: Json) -> Json:
        if _is_deeper(value, _DEEPEST):
            raise ValueError("it is nested too deeply")
        try:
            same = json.loads(json.dumps(value, allow_nan=False)) == value
        except TypeError:
            same = False
        if not same:
            raise ValueError("it holds what JSON can't say, such as a date or a key that is no text")
        return value

    @field_serializer("timeout")
    def _short(self, minutes: float) -> int | float:
        return int(minutes) if minutes.is_integer() else minutes


class Plan(Record):
    """A recovery plan; `estimated_recovery_time` is in minutes."""

    id: str = Field(pattern=_ID)
    name: str = Field(min_length=1, max_length=255)
    description: str = ""
    priority: Priority
    triggers: tuple[str, ...] = ()
    steps: tuple[Step, ...]
    estimated_recovery_time: int = Field(ge=1, le=_MOST_MINUTES * 7)
    last_tested: datetime | None = None
    enabled: bool = True
    requires_approval: bool = False
    """Whether a person has to agree before anything live is changed."""

    @field_validator("last_tested")
    @classmethod
    def _in_utc(cls, value: datetime | None) -> datetime | None:
        return value and (value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC))

    @property
    def digest(self) -> str:
        """What stands for what the plan says; when it was tested is no part of it."""
        from holdfast.repository import canonical

        return canonical.checksum(self.document() | {"lastTested": None})

    def step(self, step_id: str) -> Step:
        """Find a step. Raises KeyError."""
        return {one.id: one for one in self.steps}[step_id]


def read_plan(document: Mapping[str, Any]) -> Plan:
    """Read a plan and check it whole. Raises PlanInvalidError, which names all that is wrong."""
    try:
        plan = Plan.model_validate(dict(document))
    except ValidationError as error:
        raise invalid(str(document.get("id", "without an id")), list(said_of(error))) from None
    if problems := [*_problems(plan)]:
        raise invalid(plan.id, problems)
    return plan


def invalid(plan_id: str, problems: list[str]) -> PlanInvalidError:
    """Make the error that names all that is wrong with a plan."""
    return PlanInvalidError(
        f"The recovery plan {plan_id} can't be used",
        reason="\n".join(problems),
        next_step="Nothing was changed; 'holdfast plans validate FILE' checks a plan",
    )


def said_of(error: ValidationError) -> Iterator[str]:
    """Say what is wrong in our words, without what was given: it may be a secret."""
    for one in error.errors(include_url=False, include_input=False, include_context=False):
        where = ".".join(str(part) for part in one["loc"])
        said = _WORDS.get(one["type"], one["msg"].removeprefix("Value error, "))
        yield f"{where}: {said[:1].lower()}{said[1:]}"


def _problems(plan: Plan) -> Iterator[str]:
    from holdfast.recovery.steps import problems_of

    if not plan.steps:
        yield "steps: there is none"
    ids = [step.id for step in plan.steps]
    for twice in sorted({one for one in ids if ids.count(one) > 1}):
        yield f"steps: two have the id {twice!r}"
    yield from (f"{where}: it holds a secret, and a plan is shown to everybody" for where in _secrets("", plan.document()))
    for trigger in sorted({one for one in plan.triggers if plan.triggers.count(one) > 1}):
        yield f"triggers: {trigger} is there twice"
    for trigger in plan.triggers:
        if trigger == TEST_TRIGGER:
            yield f"triggers: {TEST_TRIGGER} starts a drill of any plan, and can't be a plan's own"
        elif not _TRIGGER.fullmatch(trigger):
            yield f"triggers: {trigger!r} is no name of an event: letters, digits, '.', '_' and '-'"
    for step in plan.steps:
        yield from (f"steps.{step.id}: {problem}" for problem in _of_dependencies(step, ids))
        yield from (f"steps.{step.id}: {problem}" for problem in problems_of(step))
    if cycle := _cycle(plan):
        yield f"steps: {' waits for '.join(cycle)}"


def _is_deeper(value: Any, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return levels == 0 or any(_is_deeper(one, levels - 1) for one in inner)


def _secrets(path: str, value: Any) -> Iterator[str]:
    """Name the places of texts that can only be secrets, such as an address with a password."""
    from holdfast.sources.configuration.secretness import has_known_form

    if isinstance(value, dict | list):
        for name, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _secrets(f"{path}.{name}" if path else str(name), one)
    elif isinstance(value, str) and has_known_form(value):
        yield path


def _of_dependencies(step: Step, ids: list[str]) -> Iterator[str]:
    for dependency in step.dependencies:
        if dependency == step.id:
            yield "it waits for itself"
        elif dependency not in ids:
            yield f"it waits for {dependency!r}, and there is no such step"


def _cycle(plan: Plan) -> list[str]:
    """Return the ids of steps that wait for each other in a circle, the first one again at the end; or nothing."""
    waits = {step.id: [one for one in step.dependencies if one != step.id] for step in plan.steps}
    done: set[str] = set()

    def walk(step_id: str, path: list[str]) -> list[str]:
        if step_id in path:
            return [*path[path.index(step_id) :], step_id]
        if step_id in done or step_id not in waits:
            return []
        for dependency in waits[step_id]:
            if found := walk(dependency, [*path, step_id]):
                return found
        done.add(step_id)
        return []

    return next((found for step in plan.steps if (found := walk(step.id, []))), [])
