"""From what pydantic found wrong to one SettingsError that names every wrong variable, its problem and what is allowed.

A secret's value is never shown, and neither is a value that looks like an address, since passwords and tokens hide in those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from holdfast.errors import SettingsError
from holdfast.settings.kinds import Allowed, is_secret
from holdfast.settings.settings import Settings

_LONGEST_SHOWN = 60
_SAID = {
    "int_parsing": "is not a whole number",
    "int_type": "is not a whole number",
    "int_from_float": "is not a whole number",
    "int_parsing_size": "is not a whole number of a sensible size",
    "float_parsing": "is not a number",
    "float_type": "is not a number",
    "bool_parsing": "is neither true nor false",
    "bool_type": "is neither true nor false",
    "greater_than": "is too small",
    "greater_than_equal": "is too small",
    "less_than_equal": "is too large",
    "literal_error": "is not known",
    "string_type": "is not text",
    "path_type": "is not a path",
    "list_type": "is not a list of names",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One wrong variable."""

    field: str
    variable: str
    text: str


def allowed(field: FieldInfo) -> str:
    """Say what a field takes."""
    for mark in field.metadata:
        if isinstance(mark, Allowed):
            return mark.text
    if field.annotation is bool:
        return "true or false"
    if get_origin(field.annotation) is Literal:
        *first, last = (str(choice) for choice in get_args(field.annotation))
        return f"{', '.join(first)} or {last}"
    raise TypeError(f"{field.validation_alias} does not say what it takes")


def settings_error(error: ValidationError, name: Callable[[Problem], str], place: Callable[[str], str]) -> SettingsError:
    """Tell all problems at once; `name` is what the user calls a setting, `place` says where a variable's value comes from."""
    problems = list(_problems(error))
    places = {problem.variable: place(problem.variable) for problem in problems}
    if len(problems) == 1:
        problem = problems[0]
        where = places[problem.variable]
        return SettingsError(
            f"{name(problem)} can't be used", reason=problem.text, next_step=f"It is set in {where}" if where else None
        )
    lines = [
        f"{name(problem)}: {problem.text}{f' (set in {places[problem.variable]})' if places[problem.variable] else ''}"
        for problem in problems
    ]
    return SettingsError(
        f"{len(problems)} settings can't be used",
        reason="\n".join(lines),
        next_step="docs/configuration.md says what each setting takes",
    )


def _problems(error: ValidationError) -> Iterator[Problem]:
    names = {str(field.validation_alias): name for name, field in Settings.model_fields.items()}
    told = set()
    for found in error.errors(include_url=False):
        place = str(found["loc"][0])  # the variable, or the field where it is its default that can't be
        name = names.get(place, place)
        if name in told:
            continue
        told.add(name)
        field = Settings.model_fields[name]
        said = str(found["ctx"]["error"]) if found["type"] == "value_error" else _SAID.get(found["type"], "can't be used")
        yield Problem(name, str(field.validation_alias), f"{_subject(found['input'], field)} {said}; allowed: {allowed(field)}")


def _subject(value: Any, field: FieldInfo) -> str:
    if value is None:
        return "it"
    text = str(value)
    if is_secret(field) or "://" in text or "@" in text:
        return "its value"
    return repr(value) if len(text) <= _LONGEST_SHOWN else repr(text[:_LONGEST_SHOWN] + "…")
