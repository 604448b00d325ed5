"""What differs between two documents of Prefect's objects, as `orchestration.prefect_objects` writes them. Knows no Prefect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, TypedDict

Json = dict[str, Any]

KINDS = ("work_pools", "work_queues", "flows", "deployments", "variables", "automations", "blocks")
"""The kinds of objects in a document, in the order in which they can be rebuilt."""


LEFT_OUT = "@{left out: looks like a secret}"
"""Stands in a document where a value was left out. Nothing is known of it, so it differs from nothing."""


class FieldChange(TypedDict):
    """A field, by its path such as `schedules.0.active`; None for what is not there. Not masked: mask before showing."""

    field: str
    before: Any
    after: Any


class ObjectChange(TypedDict):
    """One object of Prefect that came, went, or is another; fields are told only of a changed one."""

    kind: str
    name: str
    change: Literal["added", "removed", "changed"]
    fields: list[FieldChange]


def diff_prefect_objects(before: Json, after: Json) -> list[ObjectChange]:
    """Compare two documents, object by object; in the order of kinds and names."""
    return [change for kind in KINDS for change in _of_a_kind(kind, before.get(kind, {}), after.get(kind, {}))]


def changed_fields(before: Any, after: Any, path: str = "") -> Iterator[FieldChange]:
    """Yield the smallest fields that differ. Lists of another length differ as a whole."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            if key in before and key in after:
                yield from changed_fields(before[key], after[key], _joined(path, key))
            else:
                yield FieldChange(field=_joined(path, key), before=before.get(key), after=after.get(key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for place, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from changed_fields(one, other, _joined(path, str(place)))
    elif LEFT_OUT in (before, after):
        return
    elif before != after or isinstance(before, bool) != isinstance(after, bool):  # to Python, 1 is True
        yield FieldChange(field=path, before=before, after=after)


def _of_a_kind(kind: str, before: Json, after: Json) -> Iterator[ObjectChange]:
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            yield ObjectChange(kind=kind, name=name, change="added", fields=[])
        elif name not in after:
            yield ObjectChange(kind=kind, name=name, change="removed", fields=[])
        elif fields := list(changed_fields(before[name], after[name])):
            yield ObjectChange(kind=kind, name=name, change="changed", fields=fields)


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
