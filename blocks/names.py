"""What the blocks of an installation are called: `holdfast-storage`, and of a target of a fleet `<target>-storage`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

_OWN = "holdfast-"


def own_name(name: str, target: str | None) -> str:
    """Give a block's name, such as `holdfast-key`, as this target's installation calls it. Other names stay as they are."""
    return f"{target}-{name.removeprefix(_OWN)}" if target and name.startswith(_OWN) else name


def own_parameters(parameters: Mapping[str, Any], target: str | None) -> dict[str, Any]:
    """Give a flow's parameters with the target's own blocks in the place of those that `holdfast-…` names."""
    return {name: own_name(value, target) if isinstance(value, str) else value for name, value in parameters.items()}


def own_defaults(flow: Callable[..., Any], target: str | None) -> dict[str, Any]:
    """Give those parameters of a flow whose defaults name blocks, with the target's own; none where there is no target."""
    defaults = {name: one.default for name, one in inspect.signature(flow).parameters.items()}
    named = {name: value for name, value in defaults.items() if isinstance(value, str) and value.startswith(_OWN)}
    return own_parameters(named, target) if target else {}
