"""The facts of an event: what whoever emitted it says of what has happened.

Anybody may emit one, and its facts go into records, messages and the parameters of runs. So what looks like a secret in them is
masked before they are kept or shown, by its name or by its form, and what is endless is cut.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from holdfast.secret_texts import MASK
from holdfast.sources.configuration.secretness import (
    assignments_in,
    has_known_form,
    looks_secret,
    name_looks_secret,
    says_nothing,
)

Json = dict[str, Any]

LEAKED = "secrets"
"""The fact that names what others may know, each as provider/name: a list, or a text with commas between."""

_SECRETS_NAME = re.compile(r"[\w.@:+-]{1,100}/\S{1,200}")
_JOB_ID = re.compile(r"[a-z]{3,20}_\d{10}_[0-9a-f]{6}")
_DEEPEST = 20
_LONGEST = 4000
_LEAST_PASSWORD = 1000
"""A smaller number under a secret's name counts something."""


def without_secrets(facts: Mapping[str, Any]) -> Json:
    """Return facts with a mask in the place of what looks like a secret, whole numbers and names of what leaked as they are."""
    return {str(name): _shown(str(name), value, 1) for name, value in facts.items()}


def leaked_in(facts: Mapping[str, Any]) -> tuple[list[str], int]:
    """Return the names of what the facts say has leaked, and how many more were given that are no names."""
    given = facts.get(LEAKED)
    texts = given.split(",") if isinstance(given, str) else given if isinstance(given, list) else []
    named = [one.strip() for one in texts if isinstance(one, str) and is_secrets_name(one.strip())]
    return named, len(texts) - len(named)


def is_secrets_name(text: str) -> bool:
    """Tell whether a text is a secret's name, `provider/name`, and no secret itself."""
    return bool(_SECRETS_NAME.fullmatch(text)) and not has_known_form(text)


def is_shown(name: str, text: str) -> bool:
    """Tell whether a fact of this name may be shown: its last name and, of a sentence, what it gives values to, count."""
    if _JOB_ID.fullmatch(text):
        return True
    if any(one.isspace() for one in text) and not name_looks_secret(name):
        return not has_known_form(text) and not any(_is_given(*one) for one in assignments_in(text))
    return not looks_secret(name, text)


def _is_given(name: str, value: str) -> bool:
    return name_looks_secret(name) and not says_nothing(name, value)


def _shown(name: str, value: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        return MASK
    if isinstance(value, Mapping):
        return {str(key): _shown(str(key), one, depth + 1) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(name, one, depth + 1) for one in value]
    if isinstance(value, str):
        return _shown_text(name, value, outermost=depth <= 2)  # a list of names is one deeper
    if isinstance(value, int | float) and abs(value) >= _LEAST_PASSWORD and name_looks_secret(name):
        return MASK
    return value


def _shown_text(name: str, text: str, *, outermost: bool) -> str:
    names = [one.strip() for one in text.split(",")] if name == LEAKED and outermost else []
    if names and all(is_secrets_name(one) for one in names):
        return text
    what = "" if is_secrets_name(name) else name  # what stands behind a secret's own name are files
    return (text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…") if is_shown(what, text) else MASK
