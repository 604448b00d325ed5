"""Values that look like secrets are left out of a document: a mark stands where each was, so that what lives there is kept.

The place of a value is its path, such as `parameters.token` or `schedules.0.parameters.token`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from typing import Any

from holdfast.sources.configuration.prefect_diff import LEFT_OUT
from holdfast.sources.configuration.secretness import looks_secret

_TEMPLATE = re.compile(r"\A\s*\{\{[^{}]*\}\}\s*\Z")


def without_secrets(value: Any, path: str, block_names: Set[str]) -> Any:
    """Return a JSON value with the mark instead of each text or number that looks like a secret.

    The name of a block is none, though the parameter that takes it be called `key`.
    """
    if isinstance(value, dict):
        return {key: without_secrets(one, f"{path}.{key}", block_names) for key, one in value.items()}
    if isinstance(value, list):
        return [without_secrets(one, f"{path}.{place}", block_names) for place, one in enumerate(value)]
    if value is None or isinstance(value, bool) or value in block_names or _is_template(value):
        return value
    return LEFT_OUT if looks_secret(path, str(value)) else value


def left_out_paths(value: Any, path: str = "") -> Iterator[str]:
    """Yield where in a value something was left out."""
    if value == LEFT_OUT:
        yield path
    elif isinstance(value, (dict, list)):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from left_out_paths(one, f"{path}.{key}" if path else str(key))


def filled(value: Any, live: Any) -> Any:
    """Return a value with what lives in its place for each mark; a mark stays where nothing does."""
    if value == LEFT_OUT:
        return LEFT_OUT if live is None else live
    if isinstance(value, dict):
        beside = live if isinstance(live, dict) else {}
        return {key: filled(one, beside.get(key)) for key, one in value.items()}
    if isinstance(value, list):
        also = live if isinstance(live, list) else []
        return [filled(one, _counterpart(place, value, also)) for place, one in enumerate(value)]
    return value


def _counterpart(place: int, value: list[Any], live: list[Any]) -> Any:
    """Find which of a living list an element is: no secret may come to another schedule than its own.

    It is one that says the same, else one of its slug, else the one in its place of a list as long that has no slugs.
    """
    one = value[place]
    slug = _slug(one)
    for other in live[place : place + 1] + live:
        if filled(one, other) == other:
            return other
    for other in live:
        if slug is not None and _slug(other) == slug:
            return other
    return live[place] if len(live) == len(value) and slug is None and _slug(live[place]) is None else None


def _slug(element: Any) -> Any:
    return element.get("slug") if isinstance(element, dict) else None


def without_marks(value: Any) -> Any:
    """Return a value without what is marked in it."""
    if isinstance(value, dict):
        return {key: without_marks(one) for key, one in value.items() if one != LEFT_OUT}
    if isinstance(value, list):
        return [without_marks(one) for one in value if one != LEFT_OUT]
    return value


def _is_template(value: Any) -> bool:
    """Tell of a text that is nothing but a reference, such as `{{ prefect.blocks.secret.token }}`: it holds no value."""
    return isinstance(value, str) and bool(_TEMPLATE.match(value))
