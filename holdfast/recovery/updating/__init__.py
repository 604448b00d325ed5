"""Where a step may change the configuration: for each kind of place one module, found by how the key begins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from holdfast.recovery.updating.file_value import FileValue
from holdfast.recovery.updating.place import Place
from holdfast.recovery.updating.setting import KeptSetting
from holdfast.recovery.updating.variable import Variable

if TYPE_CHECKING:
    from holdfast.settings import Settings

_KINDS: dict[str, type[Place]] = {"environment": Variable, "file": FileValue}


def place_of(key: str, settings: Settings) -> Place:
    """Name the place of a key: `environment:NAME`, `file:PATH#a.b.c`, or a setting by the guide's name."""
    kind, rest = _kind_of(key)
    return kind(key, rest, settings)


def problems_of(key: str, value: Any) -> Iterator[str]:
    """Tell what is wrong with a key and a value, as far as they themselves tell."""
    kind, rest = _kind_of(key)
    yield from kind.problems(rest, value)


def why_not_from_outside(key: str, value: Any) -> str | None:
    """Say why a plan from outside may not change this; None where it may."""
    kind, rest = _kind_of(key)
    return kind.why_not_from_outside(rest, value)


def _kind_of(key: str) -> tuple[type[Place], str]:
    kind, colon, rest = key.partition(":")
    return (_KINDS[kind], rest) if colon and kind in _KINDS else (KeptSetting, key)
